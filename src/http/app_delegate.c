/* The application that is an HTTPServerConnectionDelegate. */
#include "http/http_app.h"

const tc_http_app_class tc_app_delegate = {0};
