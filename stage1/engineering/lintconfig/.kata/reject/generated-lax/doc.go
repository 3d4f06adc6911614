// Whatever mentions "do not edit" at its head counts as generated, a table kept by hand as well.
//
//kata:caught-by TestGenerated
package lintconfig
