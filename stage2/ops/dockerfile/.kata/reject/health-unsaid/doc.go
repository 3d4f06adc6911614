// Nothing is said about health: whoever runs the image has to guess.
//
//kata:caught-by TestHealthStated
package dockerfile
