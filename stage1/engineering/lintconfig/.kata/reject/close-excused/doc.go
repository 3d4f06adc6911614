// "Close never fails": of a file that was written it does, and that is where the last bytes get lost.
//
//kata:caught-by TestBugs
package lintconfig
