// A pattern is searched for anywhere in the path: a living package with "legacy" in its name is left out too.
//
//kata:caught-by TestNarrow
package lintconfig
