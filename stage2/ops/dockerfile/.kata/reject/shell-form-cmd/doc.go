// ENTRYPOINT in exec form, CMD for its arguments in shell form: the program is given /bin/sh, -c and one long word.
//
//kata:caught-by TestExecForm
package dockerfile
