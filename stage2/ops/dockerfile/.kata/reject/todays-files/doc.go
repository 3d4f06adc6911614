// Lists the files that lie there today: tomorrow's .env in the next folder is sent.
//
//kata:caught-by TestIgnore
package dockerfile
