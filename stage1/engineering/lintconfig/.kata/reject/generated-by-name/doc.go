// Generated code is told by its name, and the next generator names its files otherwise.
//
//kata:caught-by TestGenerated
package lintconfig
