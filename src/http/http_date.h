/* The date of HTTP (RFC 9110, section 5.6.7). Plain C, no locale, no time zone. */
#ifndef TC_HTTP_DATE_H
#define TC_HTTP_DATE_H

#include "base/base.h"

enum {
    TC_HTTP_DATE_SIZE = 29, /* "Sun, 06 Nov 1994 08:49:37 GMT" */
};

/* Writes an IMF-fixdate, without a NUL. Times outside 0000-01-01 to 9999-12-31 are clamped: years have four
 * digits. */
void tc_http_date_format(int64_t unix_seconds, char out[TC_HTTP_DATE_SIZE]);

/* The seconds of a date of the Gregorian calendar, its month and day counted from 1. */
int64_t tc_http_date_seconds(int year, int month, int day, int hour, int minute, int second);

#endif
