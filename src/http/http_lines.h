/* The lines of a header section, one after another, valid or not. Plain C, no allocation. http_parser.c
 * judges what is accepted. */
#ifndef TC_HTTP_LINES_H
#define TC_HTTP_LINES_H

#include "base/base.h"

/* A line without its end, CRLF or LF. */
typedef struct {
    const char *start, *end;
    const char *colon;             /* the first one, after the name; NULL where there is none */
    const char *value, *value_end; /* without the blanks around it; only if there is a colon */
} tc_http_line;

/* The line at *pos, which moves past it. False at the end. Reads from `block` to `end`; what follows the last
 * line feed is a line, too. */
bool tc_http_next_line(const char *block, const char **pos, const char *end, tc_http_line *line);

/* The next header of a section that tc_http_parse_head has accepted: fills name and value and moves *pos past
 * the line. False at the end. Start with *pos = 0; spans count from `block`. */
bool tc_http_next_header(const char *block, size_t size, size_t *pos, tc_span *name, tc_span *value);

/* Whether a list of options, the value of a Connection header, has this one (given in lower case). */
bool tc_http_has_option(const char *p, const char *end, const char *option);

#endif
