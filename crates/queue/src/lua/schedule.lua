-- What time does: delayed tasks become ready, leases run out, cron slots come due. Safe with any number of callers.

local function promote(P, now, limit)
  local ids = redis.call('ZRANGEBYSCORE', P .. 'delayed', '-inf', math.floor(now / 1000), 'LIMIT', 0, limit)
  if #ids == 0 then return 0 end
  local envelopes = redis.call('HMGET', P .. 'dbody', unpack(ids))
  local live, levels = {}, { {}, {}, {}, {} }
  for i, id in ipairs(ids) do
    local envelope = envelopes[i]
    if envelope then
      live[#live + 1], live[#live + 2] = id, envelope
      table.insert(levels[string.byte(envelope) - 47], id)
    end
  end
  bulk('HSET', P .. 'live', live, 1, #live)
  for level = 1, 4 do
    bulk('RPUSH', P .. 'r:' .. (level - 1), levels[level], 1, #levels[level])
  end
  bulk('ZREM', P .. 'delayed', ids, 1, #ids)
  bulk('HDEL', P .. 'dbody', ids, 1, #ids)
  return #ids
end

-- The first crash of a task sends it to the front at once. From the second on its partners in the crash are spread in
-- time, so that a poisonous task does not take the same innocent ones with it until all are dead.
-- Answers what became of it: 'back', 'dead', 'cancelled', or nothing; and its crashes.
local function orphan(P, now, id, crash_limit)
  local envelope = redis.call('HGET', P .. 'live', id)
  if not envelope then return end
  if redis.call('SISMEMBER', P .. 'cancel', id) == 1 then
    redis.call('HDEL', P .. 'live', id)
    forget_facts(P, { id }, 1, 1)
    conclude(P, now, id, envelope, 'cancelled', '3', '')
    count(P, 'cancelled', 1)
    return 'cancelled', 0
  end
  local attempts, crashes, why = read_meta(P, id)
  crashes = crashes + 1
  if crashes >= crash_limit then
    redis.call('HDEL', P .. 'live', id)
    forget_facts(P, { id }, 1, 1)
    bury(P, now, id, envelope, 'crashed', attempts, crashes, 'its worker died ' .. crashes .. ' times')
    conclude(P, now, id, envelope, 'dead', '1', 'crashed')
    count(P, 'dead', 1)
    return 'dead', crashes
  end
  write_meta(P, id, attempts, crashes, why)
  if crashes == 1 then
    redis.call('LPUSH', ready_key(P, envelope), id)
  else
    redis.call('HDEL', P .. 'live', id)
    local spread = (string.byte(id, 26) * 64 + string.byte(id, 25)) % 40
    delay(P, id, envelope, math.floor(now / 1000) + 250 + 100 * spread)
  end
  return 'back', crashes
end

-- Hands back what workers with an ended lease held, at most `limit` tasks; the worker is fenced with the first one.
-- Answers how many, and of each: worker, id, what became of it, its crashes.
local function reap(P, now, limit, crash_limit)
  local reaped, told = 0, {}
  for _, worker in ipairs(redis.call('ZRANGEBYSCORE', P .. 'workers', '-inf', math.floor(now / 1000), 'LIMIT', 0, 10)) do
    redis.call('HDEL', P .. 'epochs', worker)
    local ids = redis.call('SPOP', P .. 'w:' .. worker, limit - reaped)
    for _, id in ipairs(ids) do
      local fate, crashes = orphan(P, now, id, crash_limit)
      if fate then
        told[#told + 1], told[#told + 2], told[#told + 3], told[#told + 4] = worker, id, fate, crashes
      end
    end
    reaped = reaped + #ids
    if reaped >= limit then break end
    redis.call('ZREM', P .. 'workers', worker)
    redis.call('DEL', P .. 'c:' .. worker)
  end
  count(P, 'reaped', reaped)
  return reaped, told
end

local function trim_dead(P, limit)
  local over = math.min(redis.call('ZCARD', P .. 'dead') - limit, 500)
  if over <= 0 then return end
  local ids = redis.call('ZRANGE', P .. 'dead', 0, over - 1)
  bulk('ZREM', P .. 'dead', ids, 1, #ids)
  bulk('HDEL', P .. 'dmsg', ids, 1, #ids)
  bulk('HDEL', P .. 'dwhy', ids, 1, #ids)
  count(P, 'dead_trimmed', #ids)
end

-- args: limit (at most 1000), crash limit, dead limit, reap (0|1)
-- Answer: {now, promoted, reaped, ms until the next delayed task or -1, due cron: name, slot, entry, …,
-- reaped: worker, id, what became of it, its crashes, …}
local function tick(keys, args)
  local P, now, limit = prefix(keys), now_us(), tonumber(args[1])
  local promoted = promote(P, now, limit)
  local reaped, told = 0, {}
  if args[4] == '1' then reaped, told = reap(P, now, limit, tonumber(args[2])) end
  trim_dead(P, tonumber(args[3]))
  local next_ms = -1
  local first = redis.call('ZRANGE', P .. 'delayed', 0, 0, 'WITHSCORES')
  if first[2] then next_ms = math.max(0, math.ceil(tonumber(first[2]) - now / 1000)) end
  local due = redis.call('ZRANGEBYSCORE', P .. 'cronz', '-inf', math.floor(now / 1000), 'WITHSCORES', 'LIMIT', 0, 500)
  local cron = {}
  for i = 1, #due, 2 do
    local entry = redis.call('HGET', P .. 'cron', due[i])
    if entry then
      cron[#cron + 1], cron[#cron + 2], cron[#cron + 3] = due[i], due[i + 1], entry
    else
      redis.call('ZREM', P .. 'cronz', due[i])
    end
  end
  if has_ready(P) and redis.call('HEXISTS', P .. 'conf', 'paused') == 0 then wake(P) end
  return { now, promoted, reaped, next_ms, cron, told }
end

-- args: name, entry, first slot. An entry that is the same as before keeps its next slot.
local function cron_put(keys, args)
  local P = prefix(keys)
  local same = redis.call('HGET', P .. 'cron', args[1]) == args[2]
  if same and redis.call('ZSCORE', P .. 'cronz', args[1]) then return 0 end
  redis.call('HSET', P .. 'cron', args[1], args[2])
  redis.call('ZADD', P .. 'cronz', args[3], args[1])
  return 1
end

local function cron_remove(keys, args)
  local P = prefix(keys)
  redis.call('ZREM', P .. 'cronz', args[1])
  return redis.call('HDEL', P .. 'cron', args[1])
end

redis.register_function('@LIB@_tick', tick)
redis.register_function('@LIB@_cron_put', cron_put)
redis.register_function('@LIB@_cron_remove', cron_remove)
