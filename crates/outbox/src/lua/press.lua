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

-- A press was acted upon. args: name, number, button, marks ('' where nothing is to be shown), other groups that show the same
-- answers: 0 not by this one, 1 done
redis.register_function('@LIB@_acted', function(keys, args)
  local P, now = keys[1] .. ':', now_ms()
  if redis.call('GET', P .. 'poller') ~= args[1] then return 0 end
  local first = tonumber(args[2]) >= tonumber(redis.call('GET', P .. 'pressed') or '0')
  -- Written also where it is known: only what this connection wrote is waited for on replicas.
  redis.call('SET', P .. 'pressed', first and text(args[2] + 1) or redis.call('GET', P .. 'pressed'))
  if not first or args[4] == '' then return 1 end
  local groups = {group_of(P, args[3])}
  for i = 5, #args do groups[#groups + 1] = args[i] end
  local seen = {}
  for _, group in ipairs(groups) do
    local g = P .. 'g:' .. group
    local it = redis.call('HMGET', g, 'status', 'chat', 'lease')
    if it[1] == 'f' and not seen[group] then
      redis.call('HSET', g, 'marks', args[4], 'at', text(now))
      redis.call('HINCRBY', g, 'want', 1)
      redis.call('HSETNX', g, 'since', text(now))
      local chat = current(P, it[2])
      if chat ~= it[2] then
        dequeue(P, group, it[2])
        redis.call('HSET', g, 'chat', chat)
      end
      if not it[3] and redis.call('HEXISTS', g, 'dead') == 0 then enqueue(P, now, group, chat, 'f') end
    end
    seen[group] = true
  end
  return 1
end)
