-- One gateway says what it has in flight: so much of the epochs before `keep` (its own count, whatever is written here:
-- what was lost on the way is made good), and that what it took since is still held.
-- KEYS: one. ARGV: time, gateway, lease, count, keep. Returns what all gateways have.
local gateway, lease, held, keep = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local list, total = flights(redis.call('MGET', KEYS[1])[1], lease)
for _, flight in ipairs(list) do
  local whose, epoch = string.match(flight[1], '^(%x+)%.(%w+)$')
  if whose == gateway then
    epoch = tonumber(epoch)
    if epoch and epoch >= keep then
      flight[3] = now + lease
    else
      total = total - flight[2]
      flight[2] = 0
    end
  end
end
if held > 0 then
  list[#list + 1] = { gateway .. '.old', held, now + lease }
  total = total + held
end
local value, left = flights_text(list)
put(KEYS[1], value, left)
return total
