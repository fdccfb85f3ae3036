-- Storing tasks: batches of a producer's lane, and cron slots.

local function push_level(P, args, first, n, level)
  bulk('HSET', P .. 'live', args, first, first + 2 * n - 1)
  local ids = {}
  for k = 1, n do ids[k] = args[first + 2 * k - 2] end
  local key = P .. 'r:' .. level
  local length = bulk('RPUSH', key, ids, 1, n)
  return length == n
end

-- A task with a delay or an idempotency key. Answers '.' (stored), 'D<id>' (known) or 'C' (key of another task).
local function push_special(P, now, args, i)
  local id, envelope, kind, due, key, print = unpack(args, i, i + 5)
  if key ~= '' then
    local value = id .. ' ' .. print
    local old = redis.call('SET', P .. 'idem:' .. key, value, 'NX', 'GET', 'EX', KEEP_IDEMPOTENCY_S)
    if old then
      if string.sub(old, 28) == print then return 'D' .. string.sub(old, 1, 26) end
      return 'C'
    end
  end
  local due_ms = tonumber(due)
  if kind == 'a' then due_ms = due_ms + math.floor(now / 1000) end
  if kind ~= 'n' and due_ms * 1000 > now then
    delay(P, id, envelope, due_ms)
    return '.'
  end
  redis.call('HSET', P .. 'live', id, envelope)
  if redis.call('RPUSH', ready_key(P, envelope), id) == 1 then wake(P) end
  return '.'
end

-- args: lane, sequence, n0, n1, n2, n3, specials, then (id, envelope) per level, then 6 values per special.
-- Answer: {now, 0 stored | 1 stored earlier | 2 outdated, answers of the specials}
local function enqueue(keys, args)
  local P, now = prefix(keys), now_us()
  local lane, sequence = P .. 'prod:' .. args[1], tonumber(args[2])
  local seen = redis.call('GET', lane)
  if seen then
    local last, answer = string.match(seen, '^(%d+)|(.*)$')
    if sequence <= tonumber(last) then
      -- A write on this connection, so that the WAIT behind it waits for the stored batch too.
      redis.call('SET', lane, seen, 'EX', KEEP_SEQUENCE_S)
      if sequence == tonumber(last) then return { now, 1, answer } end
      return { now, 2, '' }
    end
  end
  local i, stored, empty = 8, 0, false
  for level = 0, 3 do
    local n = tonumber(args[3 + level])
    if n > 0 then
      if push_level(P, args, i, n, level) then empty = true end
      i, stored = i + 2 * n, stored + n
    end
  end
  if empty then wake(P) end
  local answers = {}
  for k = 1, tonumber(args[7]) do
    answers[k] = push_special(P, now, args, i)
    if answers[k] == '.' then stored = stored + 1 end
    i = i + 6
  end
  local answer = table.concat(answers, ',')
  redis.call('SET', lane, args[2] .. '|' .. answer, 'EX', KEEP_SEQUENCE_S)
  count(P, 'enqueued', stored)
  return { now, 0, answer }
end

-- args: per slot: name, slot, next slot or '', id, envelope. A slot fires only if it is still the entry's next one.
-- Answer: how many fired.
local function cron_fire(keys, args)
  local P, fired = prefix(keys), 0
  for i = 1, #args, 5 do
    local name, slot, following, id, envelope = unpack(args, i, i + 4)
    if tonumber(redis.call('ZSCORE', P .. 'cronz', name) or -1) == tonumber(slot) then
      if following == '' then
        redis.call('ZREM', P .. 'cronz', name)
      else
        redis.call('ZADD', P .. 'cronz', following, name)
      end
      redis.call('HSET', P .. 'live', id, envelope)
      redis.call('RPUSH', ready_key(P, envelope), id)
      fired = fired + 1
    end
  end
  if fired > 0 then wake(P) end
  count(P, 'enqueued', fired)
  return fired
end

redis.register_function('@LIB@_enqueue', enqueue)
redis.register_function('@LIB@_cron_fire', cron_fire)
