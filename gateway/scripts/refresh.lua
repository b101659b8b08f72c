-- refresh: a gateway says which members it still holds, some hundreds at a time.
--
-- KEYS  4 members   5… member:NAME of each
-- ARGV  5 gateway   6 seconds that a member lives   7 key of a member without the name
--       8… session of each
--
-- Returns one letter for each: k kept, g gone (expired or buried: put it back), m moved (another
-- gateway or another socket has it now).
local members, gateway, ttl = KEYS[4], ARGV[5], ARGV[6]
local name_at = #ARGV[7] + 1
local found, kept = {}, {}

for i = 5, #KEYS do
    local there = fields(KEYS[i], 'gateway', 'session')
    if not there[1] then
        found[#found + 1] = 'g'
    elseif there[1] ~= gateway or there[2] ~= ARGV[i + 3] then
        found[#found + 1] = 'm'
    else
        redis.call('EXPIRE', KEYS[i], ttl)
        kept[#kept + 1] = string.sub(KEYS[i], name_at)
        found[#found + 1] = 'k'
    end
end
if #kept > 0 then -- should the set have been lost
    mend(members, 'set')
    redis.call('SADD', members, unpack(kept))
end
redis.call('EXPIRE', members, ttl)
redis.call('EXPIRE', head, head_ttl)
return table.concat(found)
