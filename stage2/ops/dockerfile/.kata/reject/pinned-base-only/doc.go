// The images of the FROM lines are pinned; the one that COPY --from takes certificates from is forgotten.
//
//kata:caught-by TestPinned
package dockerfile
