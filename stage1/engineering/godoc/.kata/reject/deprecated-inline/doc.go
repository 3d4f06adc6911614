// Says that a function is deprecated in the midst of a paragraph, where no tool sees it.
//
//kata:caught-by TestDeprecated
package godoc
