-- leave: members go, several of one room who left at about the same time; one event tells of them
-- all. Nothing is done for one who has come back elsewhere meanwhile, or has left already: the
-- session says which of its stays this is about.
--
-- KEYS  4 members   5… member:NAME of each
-- ARGV  5 gateway   6 key of left without the id   7 key of a member without the name
--       8… of each member:
--          session
--          '1': on purpose, and the token ends
--          an id to spare, '' for none: it came back, though this gateway did not learn it in time
--
-- Returns the number of the event, or 0 when there was nothing to do.
local members, gateway, left_key, name_at = KEYS[4], ARGV[5], ARGV[6], #ARGV[7] + 1
local gone, names, people, listed, seen = {}, {}, {}, 0, {} -- each once, though it may be named twice

must(#ARGV - 7 == (#KEYS - 4) * 3, 'three words for each member')
mend(members, 'set')
for i = 5, #KEYS do
    local key, at = KEYS[i], 8 + (i - 5) * 3
    local session, on_purpose, except = ARGV[at], ARGV[at + 1] == '1', ARGV[at + 2]
    local there = fields(key, 'gateway', 'session', 'id', 'name', 'resume', 'floor', 'asked_at',
                         'floor_epoch')
    local id, name = there[3], there[4]
    if there[1] == gateway and there[2] == session and id ~= except and not seen[key] then
        seen[key] = true
        names[#names + 1] = string.sub(key, name_at)
        gone[#gone + 1] = {key = key, left = left_key .. (id or ''), folded = names[#names],
                           hash = id and not on_purpose and there[5], floor = there[6],
                           session = session, asked_at = there[7], floor_epoch = there[8]}
        listed = listed + redis.call('SISMEMBER', members, names[#names])
        people[#people + 1] = person_json(id, name)
    end
end
if #gone == 0 then
    return 0
end

-- First what may fail (numbering and keeping the event), then the keys.
local count = redis.call('SCARD', members) - listed
local seq = emit_presence('', table.concat(people, ','), count)
redis.call('SREM', members, unpack(names))
for _, member in ipairs(gone) do
    redis.call('DEL', member.key)
    -- The nonces stay until they expire: a line that was stuck on a dead path may still come again.
    keep_token(member.left, member)
end
return seq
