-- Shared by all functions. KEYS[1] is the outbox's prefix, "ka:{outbox}"; every key begins with it.
--
--   seen:<key>       a notification that came before
--   g:<group>        what a chat is shown of a group: chat, thread, route, status (f|r), state, want (number of the newest
--                    state), sent (number of the state that is shown), sent_status, message, since (ms; the oldest state that is
--                    not shown), at (ms; the newest state), lease, fails, tries, dead, plain (number of a state whose HTML was
--                    not taken), firing (its alerts that fire), fresh (number of the first state of
--                    the present incident), old_state and old_status (of the incident before, whose message
--                    was being sent when the present one began), ended (1: nobody said when), once (1: forgotten when it is
--                    shown), button (what stands for it on its buttons), marks and old_marks (what people did about it)
--   button:<button>  its group
--   silences         groups that were silenced, by when that ends (ms)
--   poller           who asks Telegram for presses
--   pressed          number of the next press
--   pressing         number of the press that somebody began to act upon
--   w:f:<chat>       groups that wait, firing ones, by since
--   w:r:<chat>       groups that wait, resolved ones, by since
--   chats:f chats:r  chats with such groups, by when they may be sent to
--   chat:<chat>      free (ms; not before), busy (the lease of the call that is under way), closed (why nothing gets in),
--                    lost:<thread> (ms; until then that topic is passed over)
--   sent:<chat>      times of the last calls to a group chat
--   moved            a group's old id: its new one
--   leased           groups that somebody is sending, by when that ends
--   dead             groups that are not tried again by themselves, by time
--   pace             ms; no call of anybody before
--   stats            counters

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Lua's own conversion of numbers to text keeps 14 digits only.
local function text(number)
  return string.format('%.0f', number)
end

local function count(P, field, by)
  redis.call('HINCRBY', P .. 'stats', field, by)
end

-- The id that a chat has now.
local function current(P, chat)
  for _ = 1, 8 do
    local to = redis.call('HGET', P .. 'moved', chat)
    if not to then return chat end
    chat = to
  end
  return chat
end

local function free_at(P, chat)
  return tonumber(redis.call('HGET', P .. 'chat:' .. chat, 'free') or '0')
end

-- Lets a group wait for its chat.
local function enqueue(P, now, group, chat, status)
  local since = redis.call('HGET', P .. 'g:' .. group, 'since') or text(now)
  local other = status == 'f' and 'r' or 'f'
  redis.call('ZREM', P .. 'w:' .. other .. ':' .. chat, group)
  redis.call('ZADD', P .. 'w:' .. status .. ':' .. chat, since, group)
  redis.call('ZADD', P .. 'chats:' .. status, 'NX', text(math.max(now, free_at(P, chat))), chat)
end

-- Buttons of a group stand for nothing any more.
local function disarm(P, g)
  local button = redis.call('HGET', g, 'button')
  if button then redis.call('DEL', P .. 'button:' .. button) end
  redis.call('HDEL', g, 'button')
end

-- A message that is no longer its group's waits to show the end of its incident.
local function split(P, now, group, g, message, state, status, marks)
  local old = group .. ':' .. message
  local it = redis.call('HMGET', g, 'chat', 'thread', 'route')
  redis.call('HSET', P .. 'g:' .. old, 'chat', it[1], 'thread', it[2], 'route', it[3], 'status', 'r', 'state', state,
    'message', message, 'want', '1', 'sent', '0', 'since', text(now), 'at', text(now), 'once', '1')
  if status == 'f' then redis.call('HSET', P .. 'g:' .. old, 'ended', '1') end
  if marks then redis.call('HSET', P .. 'g:' .. old, 'marks', marks) end
  redis.call('PEXPIRE', P .. 'g:' .. old, math.max(60000, redis.call('PTTL', g)))
  enqueue(P, now, old, it[1], 'r')
  count(P, 'split', 1)
end

-- Takes a group out of everything that waits.
local function dequeue(P, group, chat)
  redis.call('ZREM', P .. 'w:f:' .. chat, group)
  redis.call('ZREM', P .. 'w:r:' .. chat, group)
  redis.call('ZREM', P .. 'dead', group)
end

-- Nothing for a chat before so long.
local function hold(P, chat, until_ms)
  redis.call('HSET', P .. 'chat:' .. chat, 'free', text(until_ms))
  for _, status in ipairs({'f', 'r'}) do
    redis.call('ZADD', P .. 'chats:' .. status, 'XX', text(until_ms), chat)
  end
end

-- The call to a chat that this lease stands for is over.
local function leave(P, chat, lease)
  local c = P .. 'chat:' .. chat
  local ours = redis.call('HGET', c, 'busy') == lease
  if ours then redis.call('HDEL', c, 'busy') end
  return ours
end
