// Only what is new is shown, so that the old bugs are there to stay.
//
//kata:caught-by TestNothingHidden
package lintconfig
