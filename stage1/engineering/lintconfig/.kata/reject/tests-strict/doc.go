// Tests are held to everything, so people put blanks and nolint into them until nobody reads either.
//
//kata:caught-by TestTests
package lintconfig
