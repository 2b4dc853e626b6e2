/* Dates by arithmetic on days of 400-year eras, each counted from the first of March, so that the leap day is
 * the last of its year. Plain C, any thread. */
#include "http/http_date.h"

enum {
    DAYS_IN_ERA = 146097,       /* 400 Gregorian years */
    DAYS_BEFORE_EPOCH = 719468, /* from 0000-03-01 to 1970-01-01 */
    SECONDS_IN_DAY = 86400,
};

#define FIRST_SECOND INT64_C(-62167219200) /* 0000-01-01 00:00:00 */
#define LAST_SECOND INT64_C(253402300799)  /* 9999-12-31 23:59:59 */

static void
put_two(char *out, unsigned value)
{
    out[0] = (char)('0' + value / 10);
    out[1] = (char)('0' + value % 10);
}

void
tc_http_date_format(int64_t unix_seconds, char out[TC_HTTP_DATE_SIZE])
{
    int64_t seconds = unix_seconds;
    if (seconds < FIRST_SECOND) {
        seconds = FIRST_SECOND;
    }
    if (seconds > LAST_SECOND) {
        seconds = LAST_SECOND;
    }
    /* Shifted by one era, so that every division is of a positive number. */
    uint64_t shifted = (uint64_t)(seconds + (int64_t)(DAYS_IN_ERA + DAYS_BEFORE_EPOCH) * SECONDS_IN_DAY);
    uint64_t days = shifted / SECONDS_IN_DAY;
    unsigned second = (unsigned)(shifted % SECONDS_IN_DAY);

    unsigned era = (unsigned)(days / DAYS_IN_ERA);
    unsigned day_of_era = (unsigned)(days % DAYS_IN_ERA);
    unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned march_month = (5 * day_of_year + 2) / 153; /* 0 is March */
    unsigned day = day_of_year - (153 * march_month + 2) / 5 + 1;
    unsigned month = march_month < 10 ? march_month + 2 : march_month - 10; /* 0 is January */
    unsigned year = era * 400 + year_of_era - 400 + (month < 2);

    memcpy(out, "---, -- --- ---- --:--:-- GMT", TC_HTTP_DATE_SIZE);
    memcpy(out, &"WedThuFriSatSunMonTue"[days % 7 * 3],
           3); /* eras are whole weeks; 0000-03-01 was a Wednesday */
    put_two(out + 5, day);
    memcpy(out + 8, &"JanFebMarAprMayJunJulAugSepOctNovDec"[month * 3], 3);
    put_two(out + 12, year / 100);
    put_two(out + 14, year % 100);
    put_two(out + 17, second / 3600);
    put_two(out + 20, second / 60 % 60);
    put_two(out + 23, second % 60);
}

int64_t
tc_http_date_seconds(int year, int month, int day, int hour, int minute, int second)
{
    int march_month = month > 2 ? month - 3 : month + 9;  /* 0 is March */
    int march_year = (month > 2 ? year : year - 1) + 400; /* shifted by one era: positive */
    int year_of_era = march_year % 400;
    int day_of_year = (153 * march_month + 2) / 5 + day - 1;
    int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    int64_t days = (int64_t)(march_year / 400 - 1) * DAYS_IN_ERA + day_of_era - DAYS_BEFORE_EPOCH;
    return ((days * 24 + hour) * 60 + minute) * 60 + second;
}
