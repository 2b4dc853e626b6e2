/* Reads the bytes of a connection on stdin and prints, as one line of JSON, the requests found in them and
 * how it ended. Each head and each chunked body is fed whole and at every cut; a difference ends it with
 * status 3.
 *
 *     http_case_runner [limit of a head [limit of a body]] < bytes
 */
#include <stdio.h>

#include "http_feed.h"

static const char *const error_names[] = {
    [TC_HTTP_ERR_START_LINE] = "START_LINE",
    [TC_HTTP_ERR_VERSION] = "VERSION",
    [TC_HTTP_ERR_HEADER] = "HEADER",
    [TC_HTTP_ERR_FOLDING] = "FOLDING",
    [TC_HTTP_ERR_HOST] = "HOST",
    [TC_HTTP_ERR_CONTENT_LENGTH] = "CONTENT_LENGTH",
    [TC_HTTP_ERR_TRANSFER_ENCODING] = "TRANSFER_ENCODING",
    [TC_HTTP_ERR_HEAD_TOO_LONG] = "HEAD_TOO_LONG",
    [TC_HTTP_ERR_CHUNK_SIZE] = "CHUNK_SIZE",
    [TC_HTTP_ERR_CHUNK_END] = "CHUNK_END",
    [TC_HTTP_ERR_CHUNK_LAST] = "CHUNK_LAST",
    [TC_HTTP_ERR_BODY_TOO_LONG] = "BODY_TOO_LONG",
    [TC_HTTP_ERR_NO_COLON] = "NO_COLON",
    [TC_HTTP_ERR_HOST_MISSING] = "HOST_MISSING",
    [TC_HTTP_ERR_HOST_MULTIPLE] = "HOST_MULTIPLE",
    [TC_HTTP_ERR_LENGTHS_DIFFER] = "LENGTHS_DIFFER",
    [TC_HTTP_ERR_LENGTH_AND_CHUNKED] = "LENGTH_AND_CHUNKED",
    [TC_HTTP_ERR_STATUS_LINE] = "STATUS_LINE",
    [TC_HTTP_ERR_LINE_TOO_LONG] = "LINE_TOO_LONG",
};

static const char *const flag_names[] = {
    "length", "chunked", "close", "keep-alive", "continue", "content-type", "if-none-match",
};

/* A JSON string of code points 0 to 255. */
static void
print_text(const char *bytes, size_t size)
{
    putchar('"');
    for (size_t i = 0; i < size; i++) {
        uint8_t c = (uint8_t)bytes[i];
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\') {
            printf("\\u%04x", c);
        }
        else {
            putchar(c);
        }
    }
    putchar('"');
}

static void
print_head(const char *data, const tc_http_head *head)
{
    printf("{\"method\": ");
    print_text(data + head->method.off, head->method.len);
    printf(", \"target\": ");
    print_text(data + head->target.off, head->target.len);
    printf(", \"version\": \"1.%d\", \"host\": ", head->minor);
    if (head->host.off != 0) {
        print_text(data + head->host.off, head->host.len);
    }
    else {
        printf("null");
    }
    printf(", \"size\": %u, \"flags\": \"", head->size);
    const char *separator = "";
    for (size_t i = 0; i < TC_ARRAY_LEN(flag_names); i++) {
        if (head->flags & 1u << i) {
            printf("%s%s", separator, flag_names[i]);
            separator = " ";
        }
    }
    printf("\", \"header\": [");
    char *block = exact_copy(data + head->headers.off, head->headers.len);
    size_t pos = 0;
    tc_span name, value;
    separator = "";
    while (tc_http_next_header(block, head->headers.len, &pos, &name, &value)) {
        printf("%s[", separator);
        print_text(block + name.off, name.len);
        printf(", ");
        print_text(block + value.off, value.len);
        putchar(']');
        separator = ", ";
    }
    free(block);
    putchar(']');
}

static int
cuts_differ(void)
{
    fflush(stdout);
    fprintf(stderr, "the verdict depends on how the input is cut\n");
    return 3;
}

int
main(int argc, char **argv)
{
    size_t limit = argc > 1 ? strtoull(argv[1], NULL, 10) : 65536;
    uint64_t body_limit = argc > 2 ? strtoull(argv[2], NULL, 10) : 100 * 1024 * 1024;
    enum { ROOM = 1 << 20 };
    char *data = malloc(ROOM);
    size_t size = data != NULL ? fread(data, 1, ROOM, stdin) : 0;
    size_t at = 0;
    int st = TC_AGAIN;
    printf("{\"messages\": [");
    while (at < size) {
        tc_http_head head;
        bool same;
        st = feed_head_every_way(data + at, size - at, limit, &head, &same);
        if (!same) {
            return cuts_differ();
        }
        if (st != TC_OK) {
            break;
        }
        printf(at > 0 ? ", " : "");
        print_head(data + at, &head);
        at += head.size;
        printf(", \"body\": ");
        if (head.flags & TC_HTTP_CHUNKED) {
            chunked_result body = chunked_feed_every_way(data + at, size - at, body_limit, &same);
            if (!same) {
                return cuts_differ();
            }
            print_text(body.body, body.body_size);
            free(body.body);
            st = body.status;
            at += body.taken;
        }
        else {
            size_t here = head.content_length < size - at ? (size_t)head.content_length : size - at;
            print_text(data + at, here);
            st = here == head.content_length ? TC_EOF : TC_AGAIN;
            at += here;
        }
        putchar('}');
        if (st != TC_EOF) {
            break;
        }
    }
    if (st < 0) {
        char message[256];
        tc_http_error_message(st, data + at, size - at, message, sizeof(message));
        printf("], \"end\": \"error %s\", \"message\": ", error_names[-st]);
        print_text(message, strlen(message));
    }
    else {
        printf("], \"end\": \"%s\"", st == TC_EOF ? "complete" : "incomplete");
    }
    printf("}\n");
    free(data);
    return 0;
}
