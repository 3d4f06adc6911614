// A variable of the shell is taken for one of the environment: without export, go never sees it.
//
//kata:caught-by TestStatic
package dockerfile
