/* The loggers of Tornado. Runs Python. */
#ifndef TC_LOG_H
#define TC_LOG_H

#include "base/state.h"

/* logging.getLogger("tornado." + name).<level>(text), the text made by PyUnicode_FromFormat. With an
 * exception set before the call it is logged as exc_info and cleared. Failures of logging are reported as
 * unraisable. */
void tc_log(tc_state *state, const char *logger, const char *level, const char *format, ...);
void tc_log_exception(tc_state *state, const char *logger, const char *format, ...);

#endif
