#include "config/address.h"
#include "config/listen_address.h"
#include "fuzz.h"

static void check_address(const char *text, size_t len)
{
    static const uint8_t key[32] = {1};
    struct address address;
    struct address again;
    char shown[ADDRESS_TEXT_BYTES];
    char mark[ADDRESS_MARK_BYTES];
    if (address_parse(text, len, &address) != 0)
        return;
    address_format(&address, shown);
    must(address_parse(shown, strlen(shown), &again) == 0, "its own form is an address");
    must(memcmp(&address, &again, sizeof address) == 0, "and the same");
    for (enum address_show show = ADDRESS_FULL; show <= ADDRESS_OFF; show++)
        address_display(&address, show, key, 7, shown);
    address_mark(&address, key, mark);
    again = address_unit(&address);
    must(address_is_ipv4(&again) == address_is_ipv4(&address), "a unit is of the same family");
}

static void check_block(const char *text)
{
    struct address_block block;
    if (address_block_parse(text, &block) != 0)
        return;
    must(block.bits <= 128, "a block has at most 128 bits");
    must(address_in_block(&block.base, &block), "a block has its base");
}

static void check_listen_address(const char *text)
{
    struct listen_address address;
    struct listen_address again;
    char shown[LISTEN_TEXT_BYTES];
    if (listen_address_parse(text, &address) != NULL)
        return;
    listen_address_is_local(&address);
    listen_address_format(&address, shown);
    must(listen_address_parse(shown, &again) == NULL, "its own form is one to listen on");
    must(listen_address_is_same(&address, &again) && address.proxied == again.proxied,
         "and the same");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);
    memcpy(text, data, len);
    text[len] = '\0';
    check_address(text, len);
    check_block(text);
    check_listen_address(text);
    free(text);
    return 0;
}
