-- Looking at a queue and steering it.

local function running_count(P)
  local running, workers = 0, redis.call('ZRANGE', P .. 'workers', 0, -1)
  for _, worker in ipairs(workers) do
    running = running + redis.call('SCARD', P .. 'w:' .. worker)
  end
  return running, #workers
end

-- Answer: {now, live, running, workers, delayed, dead, paused, rate, burst, {length, first id} per level, counters}
local function stats(keys)
  local P, now = prefix(keys), now_us()
  local running, workers = running_count(P)
  local conf = redis.call('HMGET', P .. 'conf', 'paused', 'rate', 'burst')
  local levels = {}
  for p = 0, 3 do
    levels[#levels + 1] = redis.call('LLEN', P .. 'r:' .. p)
    levels[#levels + 1] = redis.call('LINDEX', P .. 'r:' .. p, 0) or ''
  end
  return {
    now, redis.call('HLEN', P .. 'live'), running, workers, redis.call('ZCARD', P .. 'delayed'),
    redis.call('ZCARD', P .. 'dead'), conf[1] and 1 or 0, conf[2] or '', conf[3] or '', levels,
    redis.call('HGETALL', P .. 'stats'),
  }
end

-- Answer: {now, state, envelope, meta or reason, progress, due ms | worker | dead since ms, result record}
local function task(keys, args)
  local P, now, id = prefix(keys), now_us(), args[1]
  local result = redis.call('HGET', P .. 'res:' .. minute_of(id), id) or ''
  local meta, progress = redis.call('HGET', P .. 'meta', id) or '', redis.call('HGET', P .. 'prog', id) or ''
  local envelope = redis.call('HGET', P .. 'live', id)
  if envelope then
    local set = held_by(other_workers(P, ''), id)
    if set then return { now, 'running', envelope, meta, progress, string.sub(set, #P + 3), result } end
    return { now, 'waiting', envelope, meta, progress, '', result }
  end
  local due = redis.call('ZSCORE', P .. 'delayed', id)
  if due then return { now, 'delayed', redis.call('HGET', P .. 'dbody', id) or '', meta, progress, due, result } end
  local since = redis.call('ZSCORE', P .. 'dead', id)
  if since then
    return { now, 'dead', redis.call('HGET', P .. 'dmsg', id) or '', redis.call('HGET', P .. 'dwhy', id) or '', '', since, result }
  end
  if result ~= '' then return { now, 'finished', '', '', '', '', result } end
  return { now, 'unknown', '', '', '', '', '' }
end

-- args: limit. Answer: {now, id, envelope, meta, …}, in the order in which they would be claimed.
local function peek(keys, args)
  local P, left = prefix(keys), tonumber(args[1])
  local found = { now_us() }
  for level = 0, 3 do
    for _, id in ipairs(redis.call('LRANGE', P .. 'r:' .. level, 0, left - 1)) do
      local envelope = redis.call('HGET', P .. 'live', id)
      if envelope and left > 0 then
        found[#found + 1], found[#found + 2] = id, envelope
        found[#found + 1] = redis.call('HGET', P .. 'meta', id) or ''
        left = left - 1
      end
    end
    if left <= 0 then break end
  end
  return found
end

-- args: offset, limit. Answer: {now, id, envelope, reason, since ms, …}, the latest first.
local function dead_list(keys, args)
  local P, first = prefix(keys), tonumber(args[1])
  local found = { now_us() }
  local ids = redis.call('ZREVRANGE', P .. 'dead', first, first + tonumber(args[2]) - 1, 'WITHSCORES')
  for i = 1, #ids, 2 do
    found[#found + 1] = ids[i]
    found[#found + 1] = redis.call('HGET', P .. 'dmsg', ids[i]) or ''
    found[#found + 1] = redis.call('HGET', P .. 'dwhy', ids[i]) or ''
    found[#found + 1] = ids[i + 1]
  end
  return found
end

-- args: replay (0|1), an id or '' for up to 500 of the oldest. Answer: how many left the dead letters.
local function dead_take(keys, args)
  local P, ids = prefix(keys), { args[2] }
  if args[2] == '' then ids = redis.call('ZRANGE', P .. 'dead', 0, 499) end
  local taken = 0
  for _, id in ipairs(ids) do
    local envelope = redis.call('HGET', P .. 'dmsg', id)
    if redis.call('ZREM', P .. 'dead', id) == 1 and envelope then
      taken = taken + 1
      if args[1] == '1' then
        redis.call('HSET', P .. 'live', id, envelope)
        redis.call('RPUSH', ready_key(P, envelope), id)
      end
    end
  end
  bulk('HDEL', P .. 'dmsg', ids, 1, #ids)
  bulk('HDEL', P .. 'dwhy', ids, 1, #ids)
  if args[1] == '1' and taken > 0 then wake(P) end
  return taken
end

-- args: id. Answer: 0 not found, 1 removed, 2 its worker was asked to stop it.
local function cancel(keys, args)
  local P, now, id = prefix(keys), now_us(), args[1]
  local envelope = redis.call('HGET', P .. 'live', id)
  local set = envelope and held_by(other_workers(P, ''), id)
  if set then
    local inbox = P .. 'c:' .. string.sub(set, #P + 3)
    redis.call('SADD', P .. 'cancel', id)
    redis.call('RPUSH', inbox, id)
    redis.call('EXPIRE', inbox, 600)
    return 2
  end
  if envelope then
    redis.call('HDEL', P .. 'live', id)
  else
    envelope = redis.call('HGET', P .. 'dbody', id)
    if not envelope then return 0 end
    redis.call('ZREM', P .. 'delayed', id)
    redis.call('HDEL', P .. 'dbody', id)
  end
  forget_facts(P, { id }, 1, 1)
  conclude(P, now, id, envelope, 'cancelled', '3', '')
  count(P, 'cancelled', 1)
  return 1
end

-- args: field, value, …; an empty value removes the field.
local function configure(keys, args)
  local P = prefix(keys)
  for i = 1, #args, 2 do
    if args[i + 1] == '' then
      redis.call('HDEL', P .. 'conf', args[i])
    else
      redis.call('HSET', P .. 'conf', args[i], args[i + 1])
    end
  end
  redis.call('DEL', P .. 'rate')
  if has_ready(P) then wake(P) end
  return 1
end

-- Removes up to 1000 waiting or delayed tasks. Answer: {removed tasks, entries that were looked at}
local function purge(keys)
  local P, removed, seen = prefix(keys), 0, 0
  for level = 0, 3 do
    local ids = redis.call('LPOP', P .. 'r:' .. level, 1000 - seen)
    if ids then
      local _, gone = bulk('HDEL', P .. 'live', ids, 1, #ids)
      forget_facts(P, ids, 1, #ids)
      removed, seen = removed + gone, seen + #ids
    end
    if seen >= 1000 then return { removed, seen } end
  end
  local ids = redis.call('ZRANGE', P .. 'delayed', 0, 999 - seen)
  bulk('ZREM', P .. 'delayed', ids, 1, #ids)
  local _, gone = bulk('HDEL', P .. 'dbody', ids, 1, #ids)
  forget_facts(P, ids, 1, #ids)
  return { removed + gone, seen + #ids }
end

redis.register_function { function_name = '@LIB@_stats', callback = stats, flags = { 'no-writes' } }
redis.register_function { function_name = '@LIB@_task', callback = task, flags = { 'no-writes' } }
redis.register_function { function_name = '@LIB@_peek', callback = peek, flags = { 'no-writes' } }
redis.register_function { function_name = '@LIB@_dead_list', callback = dead_list, flags = { 'no-writes' } }
redis.register_function('@LIB@_dead_take', dead_take)
redis.register_function('@LIB@_cancel', cancel)
redis.register_function('@LIB@_configure', configure)
redis.register_function('@LIB@_purge', purge)
