// Settings for gosimple, which has been a part of staticcheck since version 2.
//
//kata:caught-by TestValid
package lintconfig
