// A switch whose default deals with the rest is flagged as if it had forgotten the rest.
//
//kata:caught-by TestQuiet
package lintconfig
