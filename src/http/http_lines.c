/* See http_lines.h. A well-formed line is found by the parser's own scanners, so that no byte is looked at
 * twice; any other by its line feed and its colon. */
#include "http/http_lines.h"

#include "http/http_chars.h"

static __attribute__((noinline)) void
take_odd_line(const char **pos, const char *end, tc_http_line *line)
{
    const char *p = *pos;
    const char *feed = memchr(p, '\n', (size_t)(end - p));
    const char *stop = feed != NULL ? feed : end;
    *pos = feed != NULL ? feed + 1 : end;
    line->colon = memchr(p, ':', (size_t)(stop - p));
    if (stop > p && stop[-1] == '\r') {
        stop--;
    }
    line->end = stop;
    line->value = line->value_end = NULL;
    if (line->colon != NULL) {
        line->value = line->colon + 1;
        line->value_end = stop;
        tc_http_trim(&line->value, &line->value_end);
    }
}

bool
tc_http_next_line(const char *block, const char **pos, const char *end, tc_http_line *line)
{
    const char *p = *pos;
    if (p >= end) {
        return false;
    }
    line->start = p;
    const char *colon = tc_http_scan_token(block, p, end);
    if (TC_LIKELY(colon < end && *colon == ':')) {
        const char *value = colon + 1;
        const char *stop = tc_http_scan_value(block, value, end);
        const char *next = tc_http_pass_line_end(stop, end);
        if (TC_LIKELY(next != NULL)) {
            *pos = next;
            line->colon = colon;
            line->end = line->value_end = stop;
            line->value = value;
            tc_http_trim(&line->value, &line->value_end);
            return true;
        }
    }
    take_odd_line(pos, end, line);
    return true;
}

bool
tc_http_next_header(const char *block, size_t size, size_t *pos, tc_span *name, tc_span *value)
{
    const char *p = block + *pos;
    tc_http_line line;
    if (!tc_http_next_line(block, &p, block + size, &line)) {
        return false;
    }
    assert(line.colon != NULL);
    *pos = (size_t)(p - block);
    *name = (tc_span){(uint32_t)(line.start - block), (uint32_t)(line.colon - line.start)};
    *value = (tc_span){(uint32_t)(line.value - block), (uint32_t)(line.value_end - line.value)};
    return true;
}

bool
tc_http_has_option(const char *p, const char *end, const char *option)
{
    size_t size = strlen(option);
    for (; p < end; p++) {
        const char *token = p;
        while (p < end && *p != ',') {
            p++;
        }
        const char *token_end = p;
        tc_http_trim(&token, &token_end);
        if ((size_t)(token_end - token) == size && tc_http_equal_blind(token, option, size)) {
            return true;
        }
    }
    return false;
}
