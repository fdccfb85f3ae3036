-- Shared by all functions. Every key of a queue starts with the prefix of KEYS[1], "kq:{<queue>}:".
-- Lua refuses to unpack more than about 8,000 values, so every bulk call goes in chunks.

local CHUNK = 2000
local KEEP_SEQUENCE_S = 3600
local KEEP_IDEMPOTENCY_S = 86400
local KEEP_AUDIT_S = 3600
local ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

local function prefix(keys)
  return string.sub(keys[1], 1, -5)
end

local function now_us()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end

-- Lua's own conversion of numbers to text keeps 14 digits only.
local function text(number)
  return string.format('%.0f', number)
end

-- Calls CMD key list[from..to] in chunks; returns the last reply and the sum of the replies.
local function bulk(cmd, key, list, from, to)
  local last, sum = 0, 0
  for i = from, to, CHUNK do
    last = redis.call(cmd, key, unpack(list, i, math.min(i + CHUNK - 1, to)))
    sum = sum + last
  end
  return last, sum
end

-- At most one token lies there: whoever takes it and leaves work behind lays the next one.
local function wake(P)
  if redis.call('EXISTS', P .. 'wake') == 0 then
    redis.call('RPUSH', P .. 'wake', '1')
  end
end

local function has_ready(P)
  for p = 0, 3 do
    if redis.call('EXISTS', P .. 'r:' .. p) == 1 then return true end
  end
  return false
end

-- The first character of an envelope is the number of its ready list.
local function ready_key(P, envelope)
  return P .. 'r:' .. string.sub(envelope, 1, 1)
end

local function count(P, field, by)
  if by ~= 0 then redis.call('HINCRBY', P .. 'stats', field, by) end
end

-- meta: "<failed attempts>:<crashes>:<last error>", only for tasks that failed or were orphaned.
local function read_meta(P, id)
  local m = redis.call('HGET', P .. 'meta', id)
  if not m then return 0, 0, '' end
  local attempts, crashes, why = string.match(m, '^(%d+):(%d+):(.*)$')
  return tonumber(attempts) or 0, tonumber(crashes) or 0, why or ''
end

local function write_meta(P, id, attempts, crashes, why)
  redis.call('HSET', P .. 'meta', id, attempts .. ':' .. crashes .. ':' .. why)
end

-- Facts that few tasks have: no cost where nothing has them.
local function forget_facts(P, list, from, to)
  if to < from then return end
  if redis.call('EXISTS', P .. 'meta', P .. 'cancel', P .. 'prog') == 0 then return end
  bulk('HDEL', P .. 'meta', list, from, to)
  bulk('SREM', P .. 'cancel', list, from, to)
  bulk('HDEL', P .. 'prog', list, from, to)
end

local function delay(P, id, envelope, due_ms)
  redis.call('ZADD', P .. 'delayed', due_ms, id)
  redis.call('HSET', P .. 'dbody', id, envelope)
end

local function bury(P, now, id, envelope, reason, attempts, crashes, why)
  redis.call('ZADD', P .. 'dead', math.floor(now / 1000), id)
  redis.call('HSET', P .. 'dmsg', id, envelope)
  redis.call('HSET', P .. 'dwhy', id, reason .. ':' .. attempts .. ':' .. crashes .. ':' .. why)
end

-- Results lie in one hash per minute in which the ids were made, so that the id alone finds them.
local function keep_until(key, ttl_s)
  if redis.call('TTL', key) < ttl_s then redis.call('EXPIRE', key, ttl_s) end
end

local function minute_of(id)
  local ms = 0
  for i = 1, 10 do
    ms = ms * 32 + string.find(ALPHABET, string.sub(id, i, i), 1, true) - 1
  end
  return text(math.floor(ms / 60000)), ms
end

local function audit(P, run, records)
  local key = P .. 'audit:' .. run
  redis.call('XADD', key, '*', 'r', table.concat(records, ';'))
  redis.call('EXPIRE', key, KEEP_AUDIT_S)
end

-- The end of a task that no worker reports: cancelled while it waited, or crashed too often.
local function conclude(P, now, id, envelope, state, outcome, why)
  local ok, task = pcall(cjson.decode, string.sub(envelope, 2))
  if not ok then return end
  local minute, made_ms = minute_of(id)
  if task.r then
    local done_ms = math.floor(now / 1000)
    local record = { s = state, f = done_ms, x = done_ms + task.r * 1000, o = task.o, tp = task.tp }
    if why ~= '' then record.e = why end
    redis.call('HSET', P .. 'res:' .. minute, id, cjson.encode(record))
    keep_until(P .. 'res:' .. minute, task.r)
  end
  if task.a then
    local made = task.e or made_ms * 1000
    local fields = { text(task.a[2]), '0', text(made), text(now), text(now), outcome }
    audit(P, task.a[1], { table.concat(fields, ',') })
  end
end

local function other_workers(P, worker)
  local others = {}
  for _, w in ipairs(redis.call('ZRANGE', P .. 'workers', 0, -1)) do
    if w ~= worker then others[#others + 1] = P .. 'w:' .. w end
  end
  return others
end

local function held_by(sets, id)
  for _, set in ipairs(sets) do
    if redis.call('SISMEMBER', set, id) == 1 then return set end
  end
  return nil
end
