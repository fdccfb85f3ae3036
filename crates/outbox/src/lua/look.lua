-- What is there, and what an operator may do about it.

local function row(P, group, kind)
  local it = redis.call('HMGET', P .. 'g:' .. group, 'chat', 'thread', 'route', 'status', 'since', 'at', 'tries', 'dead', 'why', 'state')
  if not it[1] then return nil end
  local closed = redis.call('HGET', P .. 'chat:' .. it[1], 'closed')
  return {group, kind, it[1], it[2] or '', it[3] or '', it[4] or 'f', it[5] or '', it[6] or '', it[7] or '0',
    it[8] or closed or it[9] or '', it[10] or ''}
end

local function each_waiting(P, visit)
  for _, status in ipairs({'f', 'r'}) do
    for _, chat in ipairs(redis.call('ZRANGE', P .. 'chats:' .. status, 0, -1)) do
      if visit(chat, P .. 'w:' .. status .. ':' .. chat) == false then return end
    end
  end
end

-- Chats for which something waits and that nothing gets into.
local function closed_chats(P)
  local seen, closed = {}, {}
  each_waiting(P, function(chat)
    if not seen[chat] and redis.call('HEXISTS', P .. 'chat:' .. chat, 'closed') == 1 then closed[#closed + 1] = chat end
    seen[chat] = true
  end)
  return closed
end

-- A chat may be sent to at once, unless a call to it is under way.
local function release(P, now, chat)
  if redis.call('HEXISTS', P .. 'chat:' .. chat, 'busy') == 0 then hold(P, chat, now) end
end

-- answers: groups that wait, are being sent, are dead; ms that the oldest state has waited; chats that are closed
redis.register_function{function_name = '@LIB@_depth', callback = function(keys, args)
  local P, now = keys[1] .. ':', now_ms()
  local waiting, oldest = 0, now
  each_waiting(P, function(_, list)
    waiting = waiting + redis.call('ZCARD', list)
    local first = redis.call('ZRANGE', list, 0, 0, 'WITHSCORES')
    if first[2] then oldest = math.min(oldest, tonumber(first[2])) end
  end)
  for _, group in ipairs(redis.call('ZRANGE', P .. 'leased', 0, 255)) do
    local since = redis.call('HGET', P .. 'g:' .. group, 'since')
    if since then oldest = math.min(oldest, tonumber(since)) end
  end
  return {waiting, redis.call('ZCARD', P .. 'leased'), redis.call('ZCARD', P .. 'dead'), now - oldest, #closed_chats(P),
    redis.call('HGETALL', P .. 'stats')}
end, flags = {'no-writes'}}

-- args: most rows. Dead ones come first, then those that are being sent, then those that wait.
redis.register_function{function_name = '@LIB@_list', callback = function(keys, args)
  local P, most, rows = keys[1] .. ':', tonumber(args[1]), {}
  local function add(groups, kind)
    for _, group in ipairs(groups) do
      if #rows >= most then return false end
      rows[#rows + 1] = row(P, group, kind)
    end
  end
  add(redis.call('ZRANGE', P .. 'dead', 0, most), 'dead')
  add(redis.call('ZRANGE', P .. 'leased', 0, most), 'sending')
  each_waiting(P, function(_, list) return add(redis.call('ZRANGE', list, 0, most), 'waiting') end)
  return rows
end, flags = {'no-writes'}}

-- Lets dead groups be tried again, and closed chats at once. args: a group, or '' for all; answers how many
redis.register_function('@LIB@_retry', function(keys, args)
  local P, now, tried = keys[1] .. ':', now_ms(), 0
  local groups = args[1] ~= '' and {args[1]} or redis.call('ZRANGE', P .. 'dead', 0, -1)
  for _, group in ipairs(groups) do
    local g = P .. 'g:' .. group
    local it = redis.call('HMGET', g, 'chat', 'status', 'lease')
    if it[1] then
      tried = tried + 1
      release(P, now, it[1])
      if redis.call('ZREM', P .. 'dead', group) == 1 then
        redis.call('HDEL', g, 'dead', 'fails', 'tries')
        redis.call('HSETNX', g, 'since', text(now))
        if not it[3] then enqueue(P, now, group, it[1], it[2]) end
      end
    end
  end
  if args[1] == '' then
    for _, chat in ipairs(closed_chats(P)) do release(P, now, chat) end
  end
  return tried
end)

-- Forgets groups. args: a group, or '' for all dead ones; answers how many
redis.register_function('@LIB@_drop', function(keys, args)
  local P, dropped = keys[1] .. ':', 0
  local groups = args[1] ~= '' and {args[1]} or redis.call('ZRANGE', P .. 'dead', 0, -1)
  for _, group in ipairs(groups) do
    local it = redis.call('HMGET', P .. 'g:' .. group, 'chat', 'lease')
    if it[1] then
      dequeue(P, group, it[1])
      if it[2] then leave(P, it[1], it[2]) end
      redis.call('ZREM', P .. 'leased', group)
      redis.call('DEL', P .. 'g:' .. group)
      dropped = dropped + 1
    end
  end
  return dropped
end)

-- Whether this master takes writes: anything but an answer says that it does not. answers: its time in ms
redis.register_function('@LIB@_probe', function(keys, args)
  redis.call('SET', keys[1] .. ':probe', '1', 'PX', 60000)
  return now_ms()
end)
