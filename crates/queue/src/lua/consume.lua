-- A worker's calls: claim, finish, lease, and agreement after a reconnect.
-- The ids that a worker instance runs are its set "w:<worker>"; membership is the fence.

-- Tokens of the queue's rate limit that may be used now; nil where there is no limit.
local function allowance(P, now, rate, burst)
  if not rate then return nil end
  local state = redis.call('HMGET', P .. 'rate', 't', 'ts')
  local tokens = tonumber(state[1] or burst) + (now - tonumber(state[2] or now)) / 1000000 * rate
  return math.min(tokens, tonumber(burst))
end

local function pop_into(P, level, n, ids)
  if n <= 0 then return ids end
  local got = redis.call('LPOP', P .. 'r:' .. level, n)
  if not got then return ids end
  if #ids == 0 then return got end
  for _, id in ipairs(got) do ids[#ids + 1] = id end
  return ids
end

-- A fair claim serves an eighth from each level, the lowest first, before it goes on strictly.
local function pop(P, n, fair)
  local ids = {}
  if fair then
    local share = math.ceil(n / 8)
    for level = 3, 1, -1 do
      ids = pop_into(P, level, math.min(share, n - #ids), ids)
    end
  end
  for level = 0, 3 do
    ids = pop_into(P, level, n - #ids, ids)
  end
  return ids
end

-- Ids whose task was cancelled while it waited have no envelope any more.
local function without_tombstones(ids, envelopes)
  for i = 1, #ids do
    if not envelopes[i] then
      local live_ids, live_envelopes = {}, {}
      for k = 1, #ids do
        if envelopes[k] then
          live_ids[#live_ids + 1], live_envelopes[#live_ids + 1] = ids[k], envelopes[k]
        end
      end
      return live_ids, live_envelopes
    end
  end
  return ids, envelopes
end

local function take(P, n, fair)
  for _ = 1, 20 do
    local ids = pop(P, n, fair)
    if #ids == 0 then return ids, {} end
    local envelopes = redis.call('HMGET', P .. 'live', unpack(ids))
    ids, envelopes = without_tombstones(ids, envelopes)
    if #ids > 0 then return ids, envelopes end
  end
  return {}, {}
end

-- args: worker, epoch, n (at most 1000), fair (0|1)
-- Answer: {now, 0, more, ids, envelopes, metas} | {now, 1 fenced | 2 old epoch | 3 paused} | {now, 4 limited, wait ms}
local function claim(keys, args)
  local P, now = prefix(keys), now_us()
  local worker, n = args[1], tonumber(args[3])
  local epoch = redis.call('HGET', P .. 'epochs', worker)
  if not epoch then return { now, 1 } end
  if epoch ~= args[2] then return { now, 2 } end
  local conf = redis.call('HMGET', P .. 'conf', 'paused', 'rate', 'burst')
  if conf[1] then return { now, 3 } end
  local tokens = allowance(P, now, conf[2], conf[3])
  if tokens then
    if tokens < 1 then return { now, 4, math.ceil((1 - tokens) / conf[2] * 1000) } end
    n = math.min(n, math.floor(tokens))
  end
  local ids, envelopes = take(P, n, args[4] == '1')
  if #ids == 0 then return { now, 0, 0, ids, envelopes, ids } end
  bulk('SADD', P .. 'w:' .. worker, ids, 1, #ids)
  if tokens then redis.call('HSET', P .. 'rate', 't', tokens - #ids, 'ts', now) end
  local metas, more = {}, 0
  if redis.call('EXISTS', P .. 'meta') == 1 then
    metas = redis.call('HMGET', P .. 'meta', unpack(ids))
    for i = 1, #ids do metas[i] = metas[i] or '' end
  end
  if has_ready(P) then
    more = 1
    wake(P)
  end
  return { now, 0, more, ids, envelopes, metas }
end

-- Takes ids out of the worker's set. Answers nil if all were in it, else the set of those that are refused:
-- not there any more, or run by another worker. One that was handed back but waits still is taken as done.
local function disown(P, worker, list, from, to)
  if to < from then return nil end
  local _, removed = bulk('SREM', P .. 'w:' .. worker, list, from, to)
  if removed == to - from + 1 then return nil end
  local refused, others = {}, other_workers(P, worker)
  for i = from, to do
    local id = list[i]
    if redis.call('HEXISTS', P .. 'live', id) == 0 or held_by(others, id) then refused[id] = true end
  end
  return refused
end

local function finish_done(P, worker, args, from, to)
  local refused = disown(P, worker, args, from, to)
  if not refused then
    local _, gone = bulk('HDEL', P .. 'live', args, from, to)
    forget_facts(P, args, from, to)
    return gone, {}
  end
  local ours = {}
  for i = from, to do
    if not refused[args[i]] then ours[#ours + 1] = args[i] end
  end
  bulk('HDEL', P .. 'live', ours, 1, #ours)
  forget_facts(P, ours, 1, #ours)
  return #ours, refused
end

local FINISH = {}

function FINISH.expired(P, _, id)
  redis.call('HDEL', P .. 'live', id)
  forget_facts(P, { id }, 1, 1)
end

FINISH.cancelled = FINISH.expired

function FINISH.retry(P, now, id, envelope, wait_ms, attempts, why)
  if redis.call('SISMEMBER', P .. 'cancel', id) == 1 then
    FINISH.expired(P, now, id)
    return conclude(P, now, id, envelope, 'cancelled', '3', '')
  end
  local _, crashes = read_meta(P, id)
  write_meta(P, id, attempts, crashes, why)
  if tonumber(wait_ms) > 0 then
    redis.call('HDEL', P .. 'live', id)
    delay(P, id, envelope, math.floor(now / 1000) + tonumber(wait_ms))
  elseif redis.call('RPUSH', ready_key(P, envelope), id) == 1 then
    wake(P)
  end
  redis.call('HDEL', P .. 'prog', id)
end

function FINISH.dead(P, now, id, envelope, reason, attempts, why)
  local _, crashes = read_meta(P, id)
  bury(P, now, id, envelope, reason, attempts, crashes, why)
  redis.call('HDEL', P .. 'live', id)
  forget_facts(P, { id }, 1, 1)
end

function FINISH.released(P, _, id, envelope)
  redis.call('LPUSH', ready_key(P, envelope), id)
  wake(P)
end

-- 5 values per task: how, id, and up to three of its own. Only what the worker still holds is touched.
local function finish_others(P, now, worker, args, i, n, refused)
  for _ = 1, n do
    local how, id, a, b, c = unpack(args, i, i + 4)
    local held = redis.call('SREM', P .. 'w:' .. worker, id) == 1
    local envelope = held and redis.call('HGET', P .. 'live', id)
    if envelope then
      FINISH[how](P, now, id, envelope, a, b, c)
      count(P, how, 1)
    else
      refused[id] = true
    end
    i = i + 5
  end
  return i
end

local function store_results(P, args, i, refused)
  local any = next(refused) ~= nil
  for _ = 1, tonumber(args[i]) do
    local key, ttl, pairs_in = P .. 'res:' .. args[i + 1], tonumber(args[i + 2]), tonumber(args[i + 3])
    local first = i + 4
    if not any then
      bulk('HSET', key, args, first, first + 2 * pairs_in - 1)
    else
      for k = first, first + 2 * pairs_in - 2, 2 do
        if not refused[args[k]] then redis.call('HSET', key, args[k], args[k + 1]) end
      end
    end
    keep_until(key, ttl)
    i = i + 3 + 2 * pairs_in
  end
  return i + 1
end

local function store_audits(P, args, i, refused, replay)
  local runs = {}
  for k = i + 1, i + 4 * tonumber(args[i]), 4 do
    local id, run, record, outcome = unpack(args, k, k + 3)
    if refused[id] then outcome = '2' end
    if not (refused[id] and replay) then
      runs[run] = runs[run] or {}
      table.insert(runs[run], record .. ',' .. outcome)
    end
  end
  for run, records in pairs(runs) do audit(P, run, records) end
end

-- args: worker, sequence, replay (0|1), n done, their ids, n others, 5 values each, n result hashes: (minute, ttl s,
-- n, (id, record)…), n audits: (id, run, record, outcome). A replay repeats acks that a fail-over may have undone.
-- Answer: {now, 0 applied | 1 applied earlier, refused ids}
local function finish(keys, args)
  local P, now = prefix(keys), now_us()
  local worker, sequence, replay = args[1], args[2], args[3] == '1'
  local log = P .. 'ack:' .. worker
  local seen = redis.call('GET', log)
  if seen then
    local last, ids = string.match(seen, '^(%d+)|(.*)$')
    if tonumber(sequence) <= tonumber(last) then
      local list = {}
      if sequence == last then
        for id in string.gmatch(ids, '[^,]+') do list[#list + 1] = id end
      end
      return { now, 1, list }
    end
  end
  local n = tonumber(args[4])
  local done, refused = finish_done(P, worker, args, 5, 4 + n)
  local i = 5 + n
  i = finish_others(P, now, worker, args, i + 1, tonumber(args[i]), refused)
  i = store_results(P, args, i, refused)
  store_audits(P, args, i, refused, replay)
  local list = {}
  for id in pairs(refused) do list[#list + 1] = id end
  count(P, 'done', done)
  if not replay then count(P, 'fenced', #list) end
  redis.call('SET', log, sequence .. '|' .. table.concat(list, ','), 'EX', KEEP_SEQUENCE_S)
  return { now, 0, list }
end

-- args: worker, lease ms. Answer: {now, 0 kept | 1 fenced}
local function beat(keys, args)
  local P, now = prefix(keys), now_us()
  if redis.call('HEXISTS', P .. 'epochs', args[1]) == 0 then return { now, 1 } end
  redis.call('ZADD', P .. 'workers', math.floor(now / 1000) + tonumber(args[2]), args[1])
  return { now, 0 }
end

local function release_all_but(P, worker, known)
  local released = 0
  for _, id in ipairs(redis.call('SMEMBERS', P .. 'w:' .. worker)) do
    if not known[id] then
      redis.call('SREM', P .. 'w:' .. worker, id)
      local envelope = redis.call('HGET', P .. 'live', id)
      if envelope then
        redis.call('LPUSH', ready_key(P, envelope), id)
        released = released + 1
      end
    end
  end
  if released > 0 then wake(P) end
  return released
end

-- Registers a worker instance, or agrees with it what it runs after a reconnect: a claim that a fail-over undid is
-- taken again, one that the worker never heard of is handed back, calls of an older epoch are refused from now on.
-- args: worker, epoch, lease ms, ids that it runs. Answer: {now, handed back, ids that it must not go on with}
local function resync(keys, args)
  local P, now = prefix(keys), now_us()
  local worker = args[1]
  redis.call('HSET', P .. 'epochs', worker, args[2])
  redis.call('ZADD', P .. 'workers', math.floor(now / 1000) + tonumber(args[3]), worker)
  local known, lost = {}, {}
  for i = 4, #args do known[args[i]] = true end
  local released = release_all_but(P, worker, known)
  local others = other_workers(P, worker)
  for i = 4, #args do
    local id = args[i]
    if redis.call('SISMEMBER', P .. 'w:' .. worker, id) == 0 then
      local envelope = redis.call('HGET', P .. 'live', id)
      if envelope and not held_by(others, id) then
        redis.call('LREM', ready_key(P, envelope), 1, id)
        redis.call('SADD', P .. 'w:' .. worker, id)
      else
        lost[#lost + 1] = id
      end
    end
  end
  count(P, 'released', released)
  return { now, released, lost }
end

-- The orderly end of a worker instance: what it still holds goes back to the front, no attempt is burned.
local function leave(keys, args)
  local P = prefix(keys)
  local released = release_all_but(P, args[1], {})
  redis.call('ZREM', P .. 'workers', args[1])
  redis.call('HDEL', P .. 'epochs', args[1])
  redis.call('DEL', P .. 'w:' .. args[1], P .. 'c:' .. args[1])
  count(P, 'released', released)
  return released
end

-- args: worker, id, progress. Answer: whether the worker holds the task.
local function progress(keys, args)
  local P = prefix(keys)
  if redis.call('SISMEMBER', P .. 'w:' .. args[1], args[2]) == 0 then return 0 end
  redis.call('HSET', P .. 'prog', args[2], args[3])
  return 1
end

redis.register_function('@LIB@_claim', claim)
redis.register_function('@LIB@_finish', finish)
redis.register_function('@LIB@_beat', beat)
redis.register_function('@LIB@_resync', resync)
redis.register_function('@LIB@_leave', leave)
redis.register_function('@LIB@_progress', progress)
