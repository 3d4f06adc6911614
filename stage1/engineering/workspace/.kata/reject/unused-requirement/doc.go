// Keeps a requirement that no package needs any more.
//
//kata:caught-by TestTidy
package workspace
