-- bury: takes the members of a dead gateway off the list and announces them. However many gateways
-- try at once, each name is found by one of them only.
--
-- KEYS  4 members
-- ARGV  5 the dead gateway   6 key of a member without the name   7 key of left without the id
--       8 beginning of the sessions to spare: a gateway that came back buries its own earlier life
--       9… folded names to look at
--
-- Returns how many were taken off.
local members, dead, member_key, left_key = KEYS[4], ARGV[5], ARGV[6], ARGV[7]
local spared = ARGV[8]
local gone = {}

for i = 9, #ARGV do
    local key = member_key .. ARGV[i]
    local there = fields(key, 'gateway', 'id', 'name', 'resume', 'floor', 'session')
    local living = spared ~= '' and there[6] and string.sub(there[6], 1, #spared) == spared
    if there[1] == dead and not living then
        gone[#gone + 1] = left_person(there[2], there[3])
        if retention > 0 then
            redis.call('HSET', left_key .. there[2], 'resume', there[4], 'floor', there[5])
            redis.call('EXPIRE', left_key .. there[2], retention)
        end
        redis.call('DEL', key)
        redis.call('SREM', members, ARGV[i])
    elseif not there[1] then
        redis.call('SREM', members, ARGV[i])
    end
end
if #gone > 0 then
    emit_presence('', table.concat(gone, ','), redis.call('SCARD', members))
end
return #gone
