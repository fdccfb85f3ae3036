-- A notification becomes the newest state of a group in each of its chats.
-- args: key, ms for which the key is kept, ms for which a group is kept, then for each chat:
--       group, chat, thread, route, status (f|r), stale (1: all of it began long ago), state
-- answers: 1 if it came before, and the number of groups that have a new state

local function update(P, now, keep, group, chat, thread, route, status, stale, state)
  local g = P .. 'g:' .. group
  local had = redis.call('HMGET', g, 'status', 'want', 'sent', 'sent_status', 'lease', 'chat')
  -- A replay from long ago, of what has ended since.
  if stale == '1' and status == 'f' and had[1] == 'r' then return 0 end
  chat = current(P, chat)
  if had[6] and had[6] ~= chat then dequeue(P, group, had[6]) end
  if status == 'f' and had[4] == 'r' and had[2] == had[3] then
    -- What was over begins anew: a message that is changed does not ring.
    redis.call('HDEL', g, 'message')
  end
  redis.call('HINCRBY', g, 'want', 1)
  redis.call('HSETNX', g, 'since', text(now))
  redis.call('HSET', g, 'chat', chat, 'thread', thread, 'route', route, 'status', status, 'state', state, 'at', text(now))
  redis.call('HDEL', g, 'dead', 'fails')
  redis.call('ZREM', P .. 'dead', group)
  redis.call('PEXPIRE', g, keep)
  if not had[5] then enqueue(P, now, group, chat, status) end
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
  for i = 4, #args, 7 do
    updated = updated + update(P, now, args[3], args[i], args[i + 1], args[i + 2], args[i + 3], args[i + 4], args[i + 5], args[i + 6])
  end
  count(P, 'accepted', 1)
  if updated == 0 then count(P, 'stale', 1) end
  return {0, updated}
end)
