// The caps stay: of sixty findings of a kind three are shown, and mending three brings up three more.
//
//kata:caught-by TestNothingHidden
package lintconfig
