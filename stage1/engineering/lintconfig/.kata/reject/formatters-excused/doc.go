// The formatters are kept out of internal/, where a merge was pending once.
//
//kata:caught-by TestFormatted
package lintconfig
