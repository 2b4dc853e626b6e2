/* Dates against known ones, against the day before, and at the ends of the range. */
#include <time.h>

#include "check.h"
#include "http/http_date.h"

static const char *
format(int64_t seconds)
{
    static char text[TC_HTTP_DATE_SIZE + 1];
    char *out = malloc(TC_HTTP_DATE_SIZE);
    tc_http_date_format(seconds, out);
    memcpy(text, out, TC_HTTP_DATE_SIZE);
    text[TC_HTTP_DATE_SIZE] = '\0';
    free(out);
    return text;
}

#define CHECK_DATE(seconds, expected) CHECK(strcmp(format(seconds), expected) == 0)

static void
test_known_dates(void)
{
    CHECK_DATE(784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK_DATE(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK_DATE(-1, "Wed, 31 Dec 1969 23:59:59 GMT");
    CHECK_DATE(1709164800, "Thu, 29 Feb 2024 00:00:00 GMT");
    CHECK_DATE(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    CHECK_DATE(-2203891200, "Thu, 01 Mar 1900 00:00:00 GMT");
    CHECK_DATE(2147483648, "Tue, 19 Jan 2038 03:14:08 GMT");
    CHECK_DATE(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
}

static void
test_ends_of_the_range(void)
{
    CHECK_DATE(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
    CHECK_DATE(253402300800, "Fri, 31 Dec 9999 23:59:59 GMT");
    CHECK_DATE(INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
    CHECK_DATE(-62167219200, "Sat, 01 Jan 0000 00:00:00 GMT");
    CHECK_DATE(-62167219201, "Sat, 01 Jan 0000 00:00:00 GMT");
    CHECK_DATE(INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT");
}

/* Every day of four centuries and more, against the C library. */
static void
test_days_against_gmtime(void)
{
    for (int64_t day = -135140; day < 160000; day++) {
        time_t seconds = (time_t)(day * 86400 + (day * 7919 % 86400 + 86400) % 86400);
        struct tm parts;
        char expected[64];
        gmtime_r(&seconds, &parts);
        strftime(expected, sizeof(expected), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        if (strcmp(format(seconds), expected) != 0) {
            fprintf(stderr, "%s, not %s\n", format(seconds), expected);
            CHECK(!"equal");
            return;
        }
    }
}

int
main(void)
{
    RUN(test_known_dates);
    RUN(test_ends_of_the_range);
    RUN(test_days_against_gmtime);
    return check_report();
}
