-- prelude: put before every other script. All keys of a room share one hash tag, so that a cluster
-- keeps them on one shard.
--
-- KEYS  1 the room's channel   2 head   3 recent
-- ARGV  1 epoch to use should the room be new; in a cluster then ' ' and the first ten letters of the history of
--         each master that the gateway is connected to; ' ' alone where it knows none
--       2 ttl of head in s
--       3 retention in seconds (0: keep nothing)
--       4 kept events at most, and their bytes (0: any number): EVENTS:BYTES; then ':s', where the channel is sharded

-- A whole number that Lua can still add one to; nan, inf and nil are none.
local function is_count(number)
    return number and number >= 0 and number < 2 ^ 52 and number == math.floor(number)
end

local function is_epoch(text)
    return text and text ~= '' and #text <= 20 and not string.find(text, '[^%w_-]')
end

-- What only a mistake of ours could break is looked at before anything is written: half a script
-- would leave half a room, and a TTL of -1 seconds takes a key away.
local function must(good, what)
    if not good then
        error('ARGV or KEYS: ' .. what)
    end
end

-- The argument as a number.
local function count_in(index, least)
    local digits_only = string.find(ARGV[index] or '', '^%d+$')
    local number = digits_only and tonumber(ARGV[index])
    must(is_count(number) and number >= (least or 0), index .. ' is not a whole number, or too small')
    return number
end

local channel, head, recent = KEYS[1], KEYS[2], KEYS[3]
local new_epoch, masters = ARGV[1] or '', ''
local blank = string.find(new_epoch, ' ', 1, true)
if blank then
    new_epoch, masters = string.sub(new_epoch, 1, blank - 1), string.sub(new_epoch, blank)
end
local head_ttl, retention = count_in(2, 1), count_in(3)
local most_kept, most_bytes, sharded = string.match(ARGV[4] or '', '^(%d+):(%d+)(:?s?)$')
local publish_command = sharded == ':s' and 'SPUBLISH' or 'PUBLISH'
must(is_count(tonumber(most_kept)) and tonumber(most_kept) > 0, '4 is not EVENTS:BYTES')
must(is_count(tonumber(most_bytes)), '4 has no bytes')
most_bytes = tonumber(most_bytes)
must(is_epoch(new_epoch), '1 is not an epoch')

-- A key that somebody has broken by hand (another type) is as good as none.
local function mend(key, kind)
    local is = redis.call('TYPE', key).ok
    if is ~= kind and is ~= 'none' then
        redis.call('DEL', key)
    end
end

-- Was a command refused because its key is of another type? For any other reason (an ACL, memory, a
-- disk) what is there may be good, and must stay.
local function is_wrong_type(answer)
    return type(answer) == 'table' and answer.err and string.find(answer.err, 'WRONGTYPE', 1, true)
end

-- What the command about this key answers. A key of another type is as good as none; whatever else is
-- refused ends the script, with the error that Redis gave.
local function of_type(command, key, ...)
    local answer = redis.pcall(command, key, ...)
    if is_wrong_type(answer) then
        redis.call('DEL', key)
        return redis.call(command, key, ...)
    elseif type(answer) == 'table' and answer.err then
        return redis.call(command, key, ...)
    end
    return answer
end

-- The fields of a hash, false where there is none.
local function fields(key, ...)
    return of_type('HMGET', key, ...)
end

-- A whole number as a string. Redis prints a number that it is given with 17 digits' care, which
-- takes as long as a small command.
local function digits(number)
    return string.format('%d', number)
end

local function now_ms()
    local time = redis.call('TIME')
    return time[1] .. string.format('%03d', math.floor(time[2] / 1000))
end

-- Which history Redis goes on with: it has another name after each start and each promotion, with
-- persistence or replication, too. So it has when a master's first replica comes, and its memory is the
-- same all the same: that fork is behind the last number, and nobody misses anything. (INFO of this
-- section takes some four microseconds.)
local replication, history_name
local function history()
    if not history_name then
        replication = redis.call('INFO', 'replication')
        history_name = string.match(replication, 'master_replid:(%w+)') or ''
    end
    return history_name
end

-- Has a room of that history come here by its keys, as its slot did? Then the master that has that history lives and
-- is another one than this. Whom this one has replaced did not hand its keys over, and may have had more: a Redis that
-- does not tell whom it has replaced, or its own history, may be such a one.
local function was_moved(from)
    local predecessor = masters ~= '' and history() ~= '' and string.match(replication, 'master_replid2:(%w+)')
    return predecessor and from and #from >= 10 and from ~= predecessor and
           string.find(masters .. ' ', ' ' .. string.sub(from, 1, 10) .. ' ', 1, true)
end

-- So many bytes of events were kept before the next one, ever; and the epoch of the next one (position).
local bytes, present_epoch

-- In a cluster an event is published with its epoch behind it: what a master publishes that was replaced, and does not
-- know it yet, reaches the same subscribers as what its successor does.
local function with_epoch(event)
    return masters == '' and event or event .. ' ' .. present_epoch
end

-- A room that is new, or whose head somebody has broken by hand: numbers begin again.
local function begin()
    redis.call('EXPIRE', head, head_ttl) -- whoever may not do that writes nothing
    redis.call('DEL', head, recent)
    redis.call('HSET', head, 'epoch', new_epoch, 'seq', 0, 'said', 0, 'history', history(),
               'forks', '', 'bytes', 0)
    bytes, present_epoch = 0, new_epoch
    redis.call('EXPIRE', head, head_ttl)
    return new_epoch, 0, 0, ''
end

-- Another history may lack what its predecessor had: its numbers would mean two things. So a new
-- epoch begins that continues the numbers, and says behind which number the old one is not shared
-- (as leader epochs do in Kafka, KIP-101). Whoever is subscribed is told first.
local most_forks = 8
local function fork(epoch, seq, forks)
    local all = {}
    for name, number in string.gmatch(forks, '([%w_-]+):(%d+)') do
        if is_epoch(name) and is_count(tonumber(number)) then -- else broken by hand
            all[#all + 1] = name .. ':' .. digits(tonumber(number))
        end
    end
    all[#all + 1] = epoch .. ':' .. digits(seq)
    forks = table.concat(all, ' ', math.max(1, #all - most_forks + 1))
    redis.call('HSET', head, 'epoch', new_epoch, 'history', history(), 'forks', forks)
    redis.call(publish_command, channel,
               '{"type":"epoch","epoch":"' .. new_epoch .. '","seq":' .. digits(seq) .. '}')
    return forks
end

-- Where the room is: its epoch, the number of its last event, how many events were messages, and
-- the forks that led to the epoch, the oldest first: "EPOCH:SEQ EPOCH:SEQ".
local function position()
    local at = redis.pcall('HMGET', head, 'epoch', 'seq', 'said', 'history', 'forks', 'bytes')
    if at.err and not is_wrong_type(at) then
        redis.call('HMGET', head, 'epoch') -- refused again, and that ends the script
    end
    local seq = not at.err and tonumber(at[2] or '')
    if not is_count(seq) or not is_epoch(at[1]) then
        return begin()
    end
    local epoch, messages, forks = at[1], tonumber(at[3]), at[5] or ''
    messages = is_count(messages) and messages or 0
    bytes = tonumber(at[6] or '')
    bytes = is_count(bytes) and bytes or 0
    if at[4] ~= history() and was_moved(at[4]) then
        redis.call('HSET', head, 'history', history())
    elseif at[4] ~= history() then
        forks = fork(epoch, seq, forks)
        epoch = new_epoch
    end
    present_epoch = epoch
    return epoch, seq, messages, forks
end

-- Where a floor, which is the number `seq` of the epoch `there`, is in this epoch: at the same number,
-- or at the fork behind which that epoch's numbers mean something else. Of an epoch that led to no
-- fork (a room's head was lost) it is 0: one that is too low shows nothing twice, as whoever comes
-- back says what it has seen; one that is too high hides what is owed.
local function floor_in(there, seq, epoch, forks)
    if there == epoch then
        return seq
    end
    for name, number in string.gmatch(forks, '([%w_-]+):(%d+)') do
        if name == there then
            return math.min(seq, tonumber(number))
        end
    end
    return 0
end

-- Keeps an event for `retention`; returns why that failed, or nil. A stream that somebody has broken
-- by hand (another type, a foreign number, the last there can be) is begun again. Its TTL is renewed
-- with a script's first event, directly: what is refused later leaves no stream for ever.
local ttl_renewed = false
local function append(seq, at, event, messages)
    local function add()
        return redis.pcall('XADD', recent, 'MAXLEN', most_kept, seq .. '-0', 'at', at,
                           'event', event, 'said', messages, 'before', digits(bytes))
    end
    if retention == 0 then
        return nil
    end
    local kept = add() -- first: what comes behind a write is not refused for want of memory any more
    if is_wrong_type(kept) or kept.err and (kept.err:find('equal or smaller') or
                                            kept.err:find('exhausted')) then
        redis.call('DEL', recent)
        kept = add()
    end
    if not kept.err and not ttl_renewed then
        local refused = redis.pcall('EXPIRE', recent, ARGV[3])
        if type(refused) == 'table' then -- and its number will be given again
            redis.call('DEL', recent)
            return refused.err
        end
        ttl_renewed = true
    end
    bytes = bytes + (kept.err and 0 or #event)
    return kept.err
end

-- Forgets the oldest events for which there are too many bytes. An entry says how many were kept
-- before it; one that does not is as old as any. The last `seq` entries have numbers without holes.
local function forget_excess(seq)
    local forgotten
    while most_bytes > 0 and bytes > most_bytes do
        local from = forgotten and '(' .. forgotten or '-'
        local page = of_type('XRANGE', recent, from, '+', 'COUNT', '16')
        for _, entry in ipairs(page) do
            local before = tonumber(entry[2][8] or '')
            if before and bytes - before <= most_bytes then
                page = {}
                break
            end
            forgotten = entry[1]
        end
        if #page == 0 then
            break
        end
    end
    local last = forgotten and tonumber(string.match(forgotten, '^(%d+)'))
    if last then
        redis.call('XTRIM', recent, 'MAXLEN', digits(math.max(seq - last, 0)))
    end
end

-- Publishes what was kept, the last of it under `seq`, all in one step: numbers have no holes, and
-- everybody who subscribed sees them grow.
local function publish(events, seq, messages)
    redis.call('HSET', head, 'seq', seq, 'said', messages, 'bytes', digits(bytes))
    if retention > 0 then
        forget_excess(tonumber(seq))
    end
    for _, event in ipairs(events) do
        redis.call(publish_command, channel, event)
    end
end

-- A presence event: numbered and published; kept once somebody has said something in the room, so that
-- coming and going alone leaves no stream. Whoever misses one that is not kept reads who is there.
-- `joined` and `left` are JSON, comma-separated.
local function emit_presence(joined, left, count)
    local _, last, messages = position()
    local seq = digits(last + 1)
    local event = '{"type":"presence","seq":' .. seq .. ',"joined":[' .. joined .. '],"left":[' ..
                  left .. '],"count":' .. count .. '}'
    local failed = messages > 0 and append(seq, now_ms(), event, digits(messages))
    if failed then
        error(failed)
    end
    publish({with_epoch(event)}, seq, digits(messages))
    return last + 1
end

-- With this token somebody who left may come back, for `retention`. Without its hash, which somebody
-- may have taken off by hand, nobody could. `member` has that and what the note of its last session
-- says (see join.lua): hash, floor, floor_epoch, asked_at, session, folded.
local function keep_token(left, member)
    if retention > 0 and member.hash then
        mend(left, 'hash')
        redis.call('HSET', left, 'resume', member.hash, 'floor', member.floor or '0',
                   'floor_epoch', member.floor_epoch or '', 'asked_at', member.asked_at or '0',
                   'session', member.session or '', 'name', member.folded)
        redis.call('EXPIRE', left, retention)
    end
end

-- Can browsers be shown this? They close on a frame that is not UTF-8 (RFC 3629). A name or an address
-- that somebody has broken by hand may be anything, and of any length.
local most_shown = 1000 -- bytes; the longest of ours have a fifth of it
local sequences = {
    '[\194-\223][\128-\191]', '\224[\160-\191][\128-\191]', '[\225-\236\238\239][\128-\191][\128-\191]',
    '\237[\128-\159][\128-\191]', '\240[\144-\191][\128-\191][\128-\191]',
    '[\241-\243][\128-\191][\128-\191][\128-\191]', '\244[\128-\143][\128-\191][\128-\191]',
}
local function can_be_shown(text)
    if #text > most_shown or string.find(text, '%z') then
        return false
    end
    for i = 1, string.find(text, '[\128-\255]') and #sequences or 0 do
        text = string.gsub(text, sequences[i], ' ') -- a space, lest two halves meet
    end
    return not string.find(text, '[\128-\255]')
end

-- Somebody in a presence event; `public_address` and `mark` are what others see ('' or nil: none). nil when it
-- is nobody who can be shown: then the count alone is told.
local function person_json(id, name, public_address, mark)
    public_address = public_address or ''
    mark = mark or ''
    if not (id and name and can_be_shown(id) and can_be_shown(name) and can_be_shown(public_address)
            and can_be_shown(mark)) then
        return nil
    end
    local json = '{"id":' .. cjson.encode(id) .. ',"name":' .. cjson.encode(name)
    if public_address ~= '' then
        json = json .. ',"address":' .. cjson.encode(public_address)
    end
    if mark ~= '' then
        json = json .. ',"mark":' .. cjson.encode(mark)
    end
    return json .. '}'
end
