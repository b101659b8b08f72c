#include "config/address_walk.h"
#include "fuzz.h"

typedef bool walk_function(struct address_walk *walk, const char *list);

static struct address read_address(const char *text)
{
    struct address address;
    must(address_parse(text, strlen(text), &address) == 0, "it is an address");
    return address;
}

static struct address_walk begin_walk(void)
{
    static struct address_block trusted[2];
    address_block_parse("10.0.0.0/8", &trusted[0]);
    address_block_parse("2001:db8::/32", &trusted[1]);
    return (struct address_walk){trusted, 2, read_address("10.0.0.1")};
}

static bool is_trusted(const struct address_walk *walk)
{
    return address_in_blocks(&walk->at, walk->trusted, walk->trusted_count);
}

/* Whatever a client sends, what a trusted proxy puts behind it is the client. */
static void check_added(walk_function *walk, const char *text, const char *entry)
{
    struct text list = TEXT_EMPTY;
    struct address_walk walked = begin_walk();
    struct address client = read_address("203.0.113.9");
    text_add_string(&list, text);
    text_add_string(&list, entry);
    must(walk(&walked, list.data), "who was added is known");
    must(memcmp(&walked.at, &client, sizeof client) == 0, "it is the one who was added");
    text_done(&list);
}

static void check_list(walk_function *walk, const char *text)
{
    struct address_walk walked = begin_walk();
    bool known = walk(&walked, text);
    must(known || is_trusted(&walked), "nobody's word is taken for whom nobody knows");
    struct address_walk stranger = begin_walk();
    stranger.at = read_address("203.0.113.9");
    must(!walk(&stranger, text), "who is not trusted says nothing");
    must(address_is_ipv4(&stranger.at), "and stays who it is");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);
    memcpy(text, data, len);
    text[len] = '\0';
    check_list(address_walk_list, text);
    check_list(address_walk_forwarded, text);
    check_added(address_walk_list, text, ", 203.0.113.9");
    check_added(address_walk_list, text, ",203.0.113.9:80, 10.0.0.2");
    check_added(address_walk_forwarded, text, ", for=203.0.113.9");
    check_added(address_walk_forwarded, text, ", for=\"203.0.113.9:80\";proto=https,for=10.0.0.2");
    check_added(address_walk_forwarded, text, ",host=\"a\\\"b\";for=203.0.113.9");
    free(text);
    return 0;
}
