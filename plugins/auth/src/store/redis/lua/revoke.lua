-- KEYS: the log, by place; the log, by end; then one key for each revocation. ARGV: now, then for each its name, before
-- when, until when. All keys have the tag of revocations.
local log, due = KEYS[1], KEYS[2]
local now = tonumber(ARGV[1])

-- The place of a revocation is the server's time, or the one after the last: places grow although a server that lost
-- its memory, or took over without the last ones, does not know how far they were. Who asks what came after a place
-- misses nothing then.
local time = redis.call('TIME')
local last = tonumber(redis.call('ZREVRANGE', log, 0, 0, 'WITHSCORES')[2] or 0)
local place = max(last, time[1] * 1000000 + time[2])

-- Whoever asks may have a clock that is far ahead for a while. What others still go by is over only when the server says
-- so, too.
now = min(now, time[1] * 1000 + math.floor(time[2] / 1000))

for _, over in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', text(now), 'LIMIT', 0, 128)) do
  redis.call('ZREM', log, over)
  redis.call('ZREM', due, over)
end

local function lengthen(key, life)
  if redis.call('PTTL', key) < life then redis.call('PEXPIRE', key, text(life)) end
end

for i = 3, #KEYS do
  local at = 2 + (i - 3) * 3
  local name, before, till = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local kept = redis.call('GET', KEYS[i])
  local kept_before, kept_till = string.match(kept or '', '^(%d+) (%d+)$')
  kept_before, kept_till = tonumber(kept_before or 0), tonumber(kept_till or 0)
  local new_before, new_till = max(before, kept_before), max(till, kept_till)
  -- What is refused already as long and as far is left as it is.
  if new_till > now and not (kept and new_before == kept_before and new_till == kept_till) then
    if kept then
      local old = name .. ' ' .. kept
      redis.call('ZREM', log, old)
      redis.call('ZREM', due, old)
    end
    local value = text(new_before) .. ' ' .. text(new_till)
    local life = new_till - now
    place = place + 1
    redis.call('SET', KEYS[i], value, 'PX', text(life))
    redis.call('ZADD', log, text(place), name .. ' ' .. value)
    redis.call('ZADD', due, text(new_till), name .. ' ' .. value)
    lengthen(log, life)
    lengthen(due, life)
  end
end
return 1
