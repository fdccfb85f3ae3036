-- Buttons that were pressed: who asks Telegram for them, and what they did. Each press has a number, higher than those before.

-- One asks at a time. args: name, ms
-- answers: {1, number of the next press} or {0, ms until somebody else may}
redis.register_function('@LIB@_poll', function(keys, args)
  local P = keys[1] .. ':'
  local had = redis.call('GET', P .. 'poller')
  if had and had ~= args[1] then return {0, math.max(1, redis.call('PTTL', P .. 'poller'))} end
  redis.call('SET', P .. 'poller', args[1], 'PX', args[2])
  return {1, redis.call('GET', P .. 'pressed') or '0'}
end)

-- Somebody else may ask. args: name
redis.register_function('@LIB@_unpoll', function(keys, args)
  local P = keys[1] .. ':'
  if redis.call('GET', P .. 'poller') == args[1] then redis.call('DEL', P .. 'poller') end
  return 1
end)

-- The group that a button stands for, while it has that button and fires.
local function group_of(P, button)
  local group = redis.call('GET', P .. 'button:' .. button)
  if not group then return nil end
  local it = redis.call('HMGET', P .. 'g:' .. group, 'button', 'status')
  if it[1] == button and it[2] == 'f' then return group end
end

-- A press is about to be acted upon. args: name, number, button
-- answers: {0} not by this one, {1} it was acted upon, {2} the button stands for nothing any more, or
--          {3, 1 if somebody began to act upon it before, route, state, marks}
redis.register_function('@LIB@_begin', function(keys, args)
  local P = keys[1] .. ':'
  if redis.call('GET', P .. 'poller') ~= args[1] then return {0} end
  if tonumber(args[2]) < tonumber(redis.call('GET', P .. 'pressed') or '0') then return {1} end
  local group = group_of(P, args[3])
  if not group then return {2} end
  local again = redis.call('SET', P .. 'pressing', args[2], 'GET') == args[2]
  local it = redis.call('HMGET', P .. 'g:' .. group, 'route', 'state', 'marks')
  return {3, again and 1 or 0, it[1], it[2], it[3] or ''}
end)

-- What people did about a group is to be shown.
local function mark(P, now, group, g, marks)
  local it = redis.call('HMGET', g, 'status', 'chat', 'lease', 'dead')
  redis.call('HSET', g, 'marks', marks, 'at', text(now))
  redis.call('HINCRBY', g, 'want', 1)
  redis.call('HSETNX', g, 'since', text(now))
  local chat = current(P, it[2])
  if chat ~= it[2] then
    dequeue(P, group, it[2])
    redis.call('HSET', g, 'chat', chat)
  end
  if not it[3] and not it[4] then enqueue(P, now, group, chat, it[1]) end
end

-- A press was acted upon. args: name, number, button, marks ('' where nothing is to be shown), ms when the silence ends that was
--       made or '', other groups that show the same
-- answers: 0 not by this one, 1 done
redis.register_function('@LIB@_acted', function(keys, args)
  local P, now = keys[1] .. ':', now_ms()
  if redis.call('GET', P .. 'poller') ~= args[1] then return 0 end
  local first = tonumber(args[2]) >= tonumber(redis.call('GET', P .. 'pressed') or '0')
  -- Written also where it is known: only what this connection wrote is waited for on replicas.
  redis.call('SET', P .. 'pressed', first and text(args[2] + 1) or redis.call('GET', P .. 'pressed'))
  if not first or args[4] == '' then return 1 end
  local groups = {group_of(P, args[3])}
  for i = 6, #args do groups[#groups + 1] = args[i] end
  local seen = {}
  for _, group in ipairs(groups) do
    local g = P .. 'g:' .. group
    if not seen[group] and redis.call('HGET', g, 'status') == 'f' then
      mark(P, now, group, g, args[4])
      if args[5] ~= '' then redis.call('ZADD', P .. 'silences', args[5], group) end
    end
    seen[group] = true
  end
  return 1
end)

-- A group that fires and whose silence is over: Alertmanager told of nothing meanwhile. args: name, ms after which it is asked for
-- again where nobody says what became of it
-- answers: {0} or {1, group, number of its state, state, marks}
redis.register_function('@LIB@_unsilenced', function(keys, args)
  local P, now = keys[1] .. ':', now_ms()
  if redis.call('GET', P .. 'poller') ~= args[1] then return {0} end
  for _, group in ipairs(redis.call('ZRANGEBYSCORE', P .. 'silences', '-inf', text(now), 'LIMIT', 0, 16)) do
    local it = redis.call('HMGET', P .. 'g:' .. group, 'status', 'want', 'state', 'marks')
    if it[1] == 'f' then
      redis.call('ZADD', P .. 'silences', text(now + args[2]), group)
      return {1, group, it[2], it[3], it[4] or ''}
    end
    redis.call('ZREM', P .. 'silences', group)
  end
  return {0}
end)

-- What became of it, unless somebody said more meanwhile. args: name, group, number of its state, 1 where nothing of it fires, marks
redis.register_function('@LIB@_settle', function(keys, args)
  local P, now = keys[1] .. ':', now_ms()
  local group, g = args[2], P .. 'g:' .. args[2]
  local it = redis.call('HMGET', g, 'want', 'chat')
  if redis.call('GET', P .. 'poller') ~= args[1] or it[1] ~= args[3] then return 0 end
  redis.call('ZREM', P .. 'silences', group)
  if args[4] == '1' then
    redis.call('HSET', g, 'status', 'r', 'ended', '1', 'firing', '')
    disarm(P, g)
  end
  mark(P, now, group, g, args[5])
  return 1
end)
