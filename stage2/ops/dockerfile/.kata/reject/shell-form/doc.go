// The shell form of ENTRYPOINT: /bin/sh would be process 1 and swallow SIGTERM, and here there is none.
//
//kata:caught-by TestExecForm
package dockerfile
