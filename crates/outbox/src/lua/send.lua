-- Who sends takes a group, and says what became of it.

-- Where a new incident began while the one before was being sent: that one's message goes its own way.
-- message: the one that it has, if any; over: whether it shows the end already
local function part(P, now, group, g, message, over)
  local old = redis.call('HMGET', g, 'old_state', 'old_status', 'old_marks')
  if not old[1] then return false end
  if message and not over then split(P, now, group, g, message, old[1], old[2], old[3]) end
  redis.call('HDEL', g, 'message', 'old_state', 'old_status', 'old_marks')
  return true
end

-- Groups whose sender never came back wait again.
local function recover(P, now)
  for _, group in ipairs(redis.call('ZRANGEBYSCORE', P .. 'leased', '-inf', text(now), 'LIMIT', 0, 64)) do
    redis.call('ZREM', P .. 'leased', group)
    local g = P .. 'g:' .. group
    local it = redis.call('HMGET', g, 'chat', 'status', 'lease')
    redis.call('HDEL', g, 'lease')
    if it[1] then
      leave(P, it[1], it[3])
      part(P, now, group, g, redis.call('HGET', g, 'message'), false)
      enqueue(P, now, group, it[1], it[2])
      count(P, 'recovered', 1)
    end
  end
end

-- The oldest group that waits with a status, of a chat that may be sent to.
local function next_group(P, now, status, window, most)
  local chats = P .. 'chats:' .. status
  for _ = 1, 64 do
    local chat = redis.call('ZRANGEBYSCORE', chats, '-inf', text(now), 'LIMIT', 0, 1)[1]
    if not chat then return nil end
    local list = P .. 'w:' .. status .. ':' .. chat
    local group = redis.call('ZRANGE', list, 0, 0)[1]
    local sent, free = P .. 'sent:' .. chat, now
    -- A group chat has a minus.
    if string.sub(chat, 1, 1) == '-' and redis.call('LLEN', sent) >= most then
      free = tonumber(redis.call('LINDEX', sent, 0)) + window
    end
    if not group then
      redis.call('ZREM', chats, chat)
    elseif redis.call('EXISTS', P .. 'g:' .. group) == 0 then
      -- Its time was over before anybody could be told.
      redis.call('ZREM', list, group)
    elseif free > now then
      hold(P, chat, free)
    else
      redis.call('ZREM', list, group)
      if redis.call('EXISTS', list) == 0 then redis.call('ZREM', chats, chat) end
      return group, chat
    end
  end
end

-- How long until something may be sent; -1 where nothing waits.
local function rest(P, now)
  local soonest
  for _, key in ipairs({'chats:f', 'chats:r', 'leased'}) do
    local it = redis.call('ZRANGE', P .. key, 0, 0, 'WITHSCORES')
    local at = it[2] and tonumber(it[2])
    if at and (not soonest or at < soonest) then soonest = at end
  end
  if not soonest then return -1 end
  return math.max(0, soonest - now)
end

local LATE_MS = 80

-- One call to a chat at a time, and calls of all at even distances: what is late on its way cannot meet the next one.
local function take(P, now, group, chat, lease, lease_ms, window, most, rate)
  redis.call('ZADD', P .. 'leased', text(now + lease_ms), group)
  local g = P .. 'g:' .. group
  redis.call('HSET', g, 'lease', lease)
  redis.call('HSET', P .. 'chat:' .. chat, 'busy', lease)
  hold(P, chat, now + lease_ms)
  local sent = P .. 'sent:' .. chat
  redis.call('RPUSH', sent, text(now))
  redis.call('LTRIM', sent, -most, -1)
  redis.call('PEXPIRE', sent, window + lease_ms)
  -- Whoever comes a little late is no reason for everybody to come later.
  local due = math.max(now - LATE_MS, tonumber(redis.call('GET', P .. 'pace') or '0'))
  redis.call('SET', P .. 'pace', string.format('%.3f', due + 1000 / rate), 'PX', 60000)
end

-- What stands for a group on its buttons: a name that nobody can guess, and that ends with the incident. Words of our own, which
-- have no route, have no buttons.
local function arm(P, group, name, ms)
  local g = P .. 'g:' .. group
  local it = redis.call('HMGET', g, 'status', 'route', 'button')
  if it[1] ~= 'f' or it[2] == '' then return '' end
  local button = it[3] or name
  redis.call('HSET', g, 'button', button)
  redis.call('SET', P .. 'button:' .. button, group, 'PX', ms)
  return button
end

-- args: lease (a name that nobody else has), ms of the lease, ms and number of calls of the window of a group chat, calls of
--       all in a second, ms for which buttons are known
-- answers: {0, ms to wait, or -1} or {1, group, chat, thread, route, status, number, message, tries, state, 1 for no HTML,
--           1 where it ended unseen, marks, what stands for it on its buttons or ''}
redis.register_function('@LIB@_claim', function(keys, args)
  local P, now = keys[1] .. ':', now_ms()
  local lease_ms, window, most, rate = tonumber(args[2]), tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
  recover(P, now)
  local paced = tonumber(redis.call('GET', P .. 'pace') or '0')
  -- The clock has whole milliseconds.
  if paced >= now + 1 then return {0, math.ceil(paced - now)} end
  -- What fires comes before what is over, in whatever chat.
  local group, chat = next_group(P, now, 'f', window, most)
  if not group then group, chat = next_group(P, now, 'r', window, most) end
  if not group then return {0, rest(P, now)} end
  take(P, now, group, chat, args[1], lease_ms, window, most, rate)
  local it = redis.call('HMGET', P .. 'g:' .. group, 'thread', 'route', 'status', 'want', 'message', 'tries', 'state', 'plain', 'ended', 'marks')
  local thread = it[1] or ''
  local lost = redis.call('HGET', P .. 'chat:' .. chat, 'lost:' .. thread)
  if lost and tonumber(lost) > now then thread = '' end
  return {1, group, chat, thread, it[2] or '', it[3] or 'f', it[4] or '0', it[5] or '', it[6] or '0', it[7] or '',
    it[8] and it[8] == it[4] and 1 or 0, it[9] and 1 or 0, it[10] or '', arm(P, group, args[1], args[6])}
end)

local outcomes = {}

-- A topic that was passed over for its time and took this is there again.
local function found(P, now, it)
  local lost = redis.call('HGET', P .. 'chat:' .. it.chat, 'lost:' .. it.thread)
  if lost and tonumber(lost) <= now then redis.call('HDEL', P .. 'chat:' .. it.chat, 'lost:' .. it.thread) end
end

-- The state of that number is shown. args: number, status, message
function outcomes.done(P, now, group, g, it, args)
  redis.call('HDEL', g, 'fails', 'tries')
  redis.call('HDEL', P .. 'chat:' .. it.chat, 'closed')
  found(P, now, it)
  count(P, it.message and 'edited' or 'sent', 1)
  if not it.parted then
    redis.call('HSET', g, 'sent', args[1], 'sent_status', args[2])
    if args[3] ~= '' then redis.call('HSET', g, 'message', args[3]) end
  end
  if it.want ~= args[1] then
    redis.call('HSET', g, 'since', it.at)
    enqueue(P, now, group, it.chat, it.status)
  elseif redis.call('HEXISTS', g, 'once') == 1 then
    redis.call('DEL', g)
  else
    redis.call('HDEL', g, 'since')
    if args[2] == 'r' then disarm(P, g) end
  end
end

-- The message is gone: the next one is new, unless nothing is left to say.
function outcomes.gone(P, now, group, g, it)
  if redis.call('HEXISTS', g, 'once') == 1 then
    redis.call('DEL', g)
    return
  end
  redis.call('HDEL', g, 'message')
  enqueue(P, now, group, it.chat, it.status)
end

-- The HTML was not taken: the same state without it is the next call. args: number
function outcomes.plain(P, now, group, g, it, args)
  redis.call('HSET', g, 'plain', args[1])
  enqueue(P, now, group, it.chat, it.status)
  count(P, 'plain', 1)
end

-- The chat is there, the topic is not: for so long its messages go to the chat itself. args: ms
-- answers: 2 where it was there before
function outcomes.topic(P, now, group, g, it, args)
  local news = redis.call('HSET', P .. 'chat:' .. it.chat, 'lost:' .. it.thread, text(now + args[1])) == 1
  enqueue(P, now, group, it.chat, it.status)
  count(P, 'topics_lost', 1)
  if news then return 2 end
end

-- Nothing for this chat before so long. args: ms
function outcomes.later(P, now, group, g, it, args)
  count(P, 'limited', 1)
  count(P, 'limited_ms', args[1])
  hold(P, it.chat, now + math.max(it.gap, args[1]))
  enqueue(P, now, group, it.chat, it.status)
end

-- It may work the next time. args: ms, words
function outcomes.failed(P, now, group, g, it, args)
  count(P, 'retried', 1)
  redis.call('HINCRBY', g, 'tries', 1)
  redis.call('HSET', g, 'why', args[2])
  hold(P, it.chat, now + math.max(it.gap, args[1]))
  enqueue(P, now, group, it.chat, it.status)
end

-- The chat has another id. args: that id
function outcomes.moved(P, now, group, g, it, args)
  local to = args[1]
  if to == it.chat then return outcomes.failed(P, now, group, g, it, {5000, 'a chat that moved to itself'}) end
  redis.call('HSET', P .. 'moved', it.chat, to)
  redis.call('HDEL', P .. 'moved', to)
  redis.call('HSET', g, 'chat', to)
  enqueue(P, now, group, to, it.status)
  for _, status in ipairs({'f', 'r'}) do
    local list = P .. 'w:' .. status .. ':' .. it.chat
    for _, other in ipairs(redis.call('ZRANGE', list, 0, -1)) do
      redis.call('HSET', P .. 'g:' .. other, 'chat', to)
      enqueue(P, now, other, to, status)
    end
    redis.call('DEL', list)
  end
  redis.call('ZREM', P .. 'chats:f', it.chat)
  redis.call('ZREM', P .. 'chats:r', it.chat)
  redis.call('DEL', P .. 'chat:' .. it.chat, P .. 'sent:' .. it.chat)
  count(P, 'moved', 1)
end

-- It will be refused again. args: how often it is believed to be worth a try, words
function outcomes.refused(P, now, group, g, it, args)
  count(P, 'refused', 1)
  local fails = redis.call('HINCRBY', g, 'fails', 1)
  if fails < tonumber(args[1]) then return enqueue(P, now, group, it.chat, it.status) end
  redis.call('HSET', g, 'dead', args[2])
  redis.call('HDEL', g, 'since')
  redis.call('ZADD', P .. 'dead', text(now), group)
  count(P, 'died', 1)
end

-- Nothing gets into the chat. It is tried again after so long. args: ms, words
-- answers: 2 where it was open before
function outcomes.closed(P, now, group, g, it, args)
  local news = redis.call('HSET', P .. 'chat:' .. it.chat, 'closed', args[2]) == 1
  hold(P, it.chat, now + math.max(it.gap, args[1]))
  enqueue(P, now, group, it.chat, it.status)
  if news then
    count(P, 'closed', 1)
    return 2
  end
end

-- A sender that was thought dead may have shown an old state after a newer one: the newest is shown once more. What it sent is
-- the message, where the present incident has none and nobody is about to send another.
local function late(P, now, group, g, had, number, message)
  local fresh = tonumber(redis.call('HGET', g, 'fresh') or '0')
  if message ~= '' and not had[1] and not had[6] and tonumber(number) >= fresh then
    redis.call('HSET', g, 'message', message)
  end
  redis.call('HSET', g, 'sent', '0')
  redis.call('HSETNX', g, 'since', text(now))
  if not had[1] then enqueue(P, now, group, had[2], had[3]) end
  count(P, 'late', 1)
end

-- args: group, lease, ms between two calls to a chat, outcome, and what belongs to it
-- answers: 0 if the lease had ended, else 1 or what the outcome says
redis.register_function('@LIB@_report', function(keys, args)
  local P, now = keys[1] .. ':', now_ms()
  local group = args[1]
  local g = P .. 'g:' .. group
  local had = redis.call('HMGET', g, 'lease', 'chat', 'status', 'want', 'at', 'message', 'thread')
  if had[1] ~= args[2] then
    if args[4] == 'done' and had[2] then late(P, now, group, g, had, args[5], args[7]) end
    return 0
  end
  redis.call('ZREM', P .. 'leased', group)
  redis.call('HDEL', g, 'lease')
  local it = {chat = had[2], status = had[3], want = had[4], at = had[5], message = had[6], thread = had[7] or '', gap = tonumber(args[3])}
  if leave(P, it.chat, args[2]) then
    -- By now the call has arrived: from here on its limits count.
    hold(P, it.chat, now + it.gap)
    local sent = P .. 'sent:' .. it.chat
    if redis.call('EXISTS', sent) == 1 then redis.call('LSET', sent, -1, text(now)) end
  end
  local more = {}
  for i = 5, #args do more[#more + 1] = args[i] end
  local done = args[4] == 'done'
  local message = done and more[3] ~= '' and more[3] or it.message
  if args[4] == 'gone' then message = nil end
  it.parted = part(P, now, group, g, message, done and more[2] == 'r')
  return outcomes[args[4]](P, now, group, g, it, more) or 1
end)
