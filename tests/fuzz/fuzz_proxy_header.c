#include "fuzz.h"
#include "protocol/proxy_header.h"

static int parse(const uint8_t *data, size_t len, struct proxy_header *out)
{
    uint8_t *exact = malloc(len > 0 ? len : 1);
    if (len > 0)
        memcpy(exact, data, len);
    int result = proxy_header_parse(exact, len, out);
    free(exact);
    return result;
}

/* The same bytes, however they come: no beginning is another header, and what was refused stays so.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct proxy_header whole;
    struct proxy_header part;
    int result = parse(data, len, &whole);
    must(result >= PROXY_HEADER_BAD && result <= PROXY_HEADER_BYTES && result <= (int)len,
         "a header is no longer than it may be");
    must(result != 0 || len < PROXY_HEADER_BYTES, "more than the longest is judged");
    int last = 0;
    for (size_t cut = 0; cut <= len && cut <= PROXY_HEADER_BYTES; cut++) {
        int got = parse(data, cut, &part);
        must(last == 0 || got == last, "bytes to come change nothing");
        must(got <= 0 || (size_t)got == cut || last == got, "a header ends with its last byte");
        last = got;
    }
    must(last == result, "the whole is as its bytes one by one");
    must(result <= 0 || memcmp(&whole, &part, sizeof whole) == 0, "and names the same");
    return 0;
}
