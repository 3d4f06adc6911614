// What needs a build tag is not compiled, so nobody looks at it.
//
//kata:caught-by TestNothingHidden
package lintconfig
