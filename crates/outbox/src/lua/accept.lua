-- A notification becomes the newest state of a group in each of its chats.
-- args: key, ms for which the key is kept, ms for which a group is kept, then for each chat:
--       group, chat, thread, route, status (f|r), stale (1: all of it began long ago), state, alerts that fire, alerts that are over
-- answers: 1 if it came before, and the number of groups that have a new state

-- Whether what fired in the state before is spoken of in this one: each alert is `fingerprint:µs`, with spaces between them. An
-- alert that fires again has begun later.
local function continues(before, firing, over)
  local since = {}
  for fingerprint, at in string.gmatch(firing .. ' ' .. over, '(%w+):(%d+)') do
    since[fingerprint] = tonumber(at)
  end
  for fingerprint, at in string.gmatch(before, '(%w+):(%d+)') do
    if since[fingerprint] and since[fingerprint] <= tonumber(at) then return true end
  end
  return false
end

-- What fires has nothing to do with what fired: the message of the incident before shows its end, and a new one rings.
local function begin(P, now, group, g, had, before)
  redis.call('HSET', g, 'fresh', had.want + 1)
  if had.lease then
    -- Somebody is showing the incident before: what becomes of its message is known when that is over.
    redis.call('HSETNX', g, 'old_state', had.state)
    redis.call('HSETNX', g, 'old_status', before)
    if had.marks then redis.call('HSETNX', g, 'old_marks', had.marks) end
  elseif had.message then
    local shown = had.sent_status == 'r' and had.want == had.sent
    if not shown then split(P, now, group, g, had.message, had.state, before, had.marks) end
    redis.call('HDEL', g, 'message')
  end
  disarm(P, g)
  redis.call('HDEL', g, 'marks')
end

local function update(P, now, keep, group, chat, thread, route, status, stale, state, firing, over)
  local g = P .. 'g:' .. group
  local it = redis.call('HMGET', g, 'status', 'want', 'sent', 'sent_status', 'lease', 'chat', 'message', 'firing', 'state', 'marks', 'ended')
  local had = {status = it[1], want = it[2], sent = it[3], sent_status = it[4], lease = it[5], chat = it[6], message = it[7],
    state = it[9], marks = it[10]}
  -- A guess that nobody has confirmed.
  local before = it[11] and 'f' or had.status
  -- A replay from long ago, of what has ended since.
  if stale == '1' and status == 'f' and had.status == 'r' then return 0 end
  chat = current(P, chat)
  if had.chat and had.chat ~= chat then dequeue(P, group, had.chat) end
  if had.status and status == 'f' and not continues(it[8] or '', firing, over) then begin(P, now, group, g, had, before) end
  redis.call('HINCRBY', g, 'want', 1)
  redis.call('HSETNX', g, 'since', text(now))
  redis.call('HSET', g, 'chat', chat, 'thread', thread, 'route', route, 'status', status, 'state', state, 'firing', firing, 'at', text(now))
  redis.call('HDEL', g, 'dead', 'fails', 'ended')
  redis.call('ZREM', P .. 'dead', group)
  redis.call('PEXPIRE', g, keep)
  if not had.lease then enqueue(P, now, group, chat, status) end
  return 1
end

redis.register_function('@LIB@_accept', function(keys, args)
  local P, now = keys[1] .. ':', now_ms()
  -- Written also where it is known: only what this connection wrote is waited for on replicas.
  if redis.call('SET', P .. 'seen:' .. args[1], '1', 'PX', args[2], 'GET') then
    count(P, 'deduplicated', 1)
    return {1, 0}
  end
  local updated = 0
  for i = 4, #args, 9 do
    updated = updated + update(P, now, args[3], args[i], args[i + 1], args[i + 2], args[i + 3], args[i + 4], args[i + 5], args[i + 6],
      args[i + 7], args[i + 8])
  end
  count(P, 'accepted', 1)
  if updated == 0 then count(P, 'stale', 1) end
  return {0, updated}
end)
