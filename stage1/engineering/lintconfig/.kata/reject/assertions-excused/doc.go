// errcheck is switched off for tests, and the type assertions go with it: it is the linter that looks at them.
//
//kata:caught-by TestTests
package lintconfig
