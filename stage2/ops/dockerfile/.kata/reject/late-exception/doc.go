// An exception at the end takes back what an earlier line had kept out: the last match decides.
//
//kata:caught-by TestIgnore
package dockerfile
