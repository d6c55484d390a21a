"""TFMA metrics over queries; each file holds one metric: public class, computation, combiner input."""
