<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * Prints results as wp-cli does.
 */
final class Out {

	public const FORMATS = array( 'table', 'json', 'csv', 'ids', 'count' );

	/**
	 * Prints a line that says a change was made; silent with --quiet and --porcelain.
	 *
	 * @param Args   $args Command line.
	 * @param string $text Sentence.
	 */
	public static function success( Args $args, string $text ): void {
		if ( ! $args->on( 'quiet' ) && ! $args->on( 'porcelain' ) ) {
			echo $args->on( 'dry-run' ) ? "Dry run: $text\n" : "Success: $text\n";
		}
	}

	/**
	 * Prints a new object's id with --porcelain, else a sentence.
	 *
	 * @param Args       $args Command line.
	 * @param int|string $id   Id.
	 * @param string     $text Sentence.
	 */
	public static function created( Args $args, int|string $id, string $text ): void {
		if ( $args->on( 'porcelain' ) ) {
			echo "$id\n";
		}
		self::success( $args, $text );
	}

	/**
	 * Prints rows.
	 *
	 * @param Args                       $args   Command line: --format, --fields, --field.
	 * @param array<int, array<string, mixed>> $rows Rows.
	 * @param string[]                   $fields Columns shown without --fields.
	 * @param string                     $id     Column that --format=ids prints.
	 * @throws Usage When a column or a format is unknown.
	 */
	public static function rows( Args $args, array $rows, array $fields, string $id ): void {
		$format = $args->get( 'format', 'table' );
		if ( ! in_array( $format, self::FORMATS, true ) ) {
			throw new Usage(
				"Unknown format \"$format\"." . Usage::nearest(
					$format,
					self::FORMATS
				) . ' Formats: ' . implode( ', ', self::FORMATS ) . '.'
			);
		}
		$fields = self::columns( $args, $rows, $fields );
		$rows   = array_map(
			static fn( array $row ) => array_combine(
				$fields,
				array_map( static fn( $f ) => $row[ $f ] ?? null, $fields )
			) + $row,
			$rows
		);
		if ( null !== $args->get( 'field' ) ) {
			echo implode(
				'',
				array_map( static fn( array $row ) => self::text( $row[ $args->get( 'field' ) ] ) . "\n", $rows )
			);
			return;
		}
		match ( $format ) {
			'ids'   => print implode( ' ', array_column( $rows, $id ) ) . "\n",
			'count' => print count( $rows ) . "\n",
			'json'  => print self::json(
				array_map( static fn( array $row ) => array_intersect_key( $row, array_flip( $fields ) ), $rows )
			) . "\n",
			'csv'   => self::csv( $rows, $fields ),
			default => self::table( $rows, $fields ),
		};
	}

	/**
	 * Prints one object: name and value per line, or JSON.
	 *
	 * @param Args                 $args Command line.
	 * @param array<string, mixed> $row  Fields.
	 */
	public static function one( Args $args, array $row ): void {
		if ( 'json' === $args->get( 'format' ) || null !== $args->get( 'field' ) ) {
			$field = $args->get( 'field' );
			$value = null === $field ? $row : (
				array_key_exists( $field, $row ) ? $row[ $field ] : throw new Usage(
					"Unknown field \"$field\"." . Usage::nearest( $field, array_keys( $row ) )
				)
			);
			echo ( null === $field ? self::json( $value ) : self::text( $value ) ) . "\n";
			return;
		}
		$rows = array_map(
			static fn( $name, $value ) => array( 'Field' => $name, 'Value' => $value ),
			array_keys( $row ),
			$row
		);
		self::rows( $args, $rows, array( 'Field', 'Value' ), 'Field' );
	}

	/**
	 * Encodes as JSON on one line, Chinese text readable.
	 *
	 * @param mixed $value Value.
	 */
	public static function json( mixed $value ): string {
		return json_encode( $value, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES );
	}

	/**
	 * Chooses the columns.
	 */
	private static function columns( Args $args, array $rows, array $fields ): array {
		$wanted = $args->get( 'field' ) ?? $args->get( 'fields' );
		$wanted = null === $wanted ? $fields : explode( ',', $wanted );
		$known  = array_keys( $rows[0] ?? array_flip( $wanted ) );
		foreach ( $wanted as $name ) {
			if ( ! in_array( $name, $known, true ) && ! in_array( $name, $fields, true ) ) {
				throw new Usage( "Unknown field \"$name\"." . Usage::nearest( $name, $known ) );
			}
		}
		return $wanted;
	}

	/**
	 * Turns a value into text for one cell.
	 */
	private static function text( mixed $value ): string {
		return is_scalar( $value ) || null === $value ? (string) $value : self::json( $value );
	}

	/**
	 * Prints comma-separated values with a header line.
	 */
	private static function csv( array $rows, array $fields ): void {
		$out = fopen( 'php://output', 'w' );
		fputcsv( $out, $fields, ',', '"', '' );
		foreach ( $rows as $row ) {
			fputcsv( $out, array_map( static fn( $f ) => self::text( $row[ $f ] ), $fields ), ',', '"', '' );
		}
	}

	/**
	 * Prints a table; wide (Chinese) characters count two columns. Control characters are removed.
	 */
	private static function table( array $rows, array $fields ): void {
		$lines = array( array_combine( $fields, $fields ) );
		foreach ( $rows as $row ) {
			$lines[] = array_combine(
				$fields,
				array_map(
					static fn( $f ) => preg_replace( '/[\x00-\x1f\x7f]+/', ' ', self::text( $row[ $f ] ) ),
					$fields
				)
			);
		}
		$width = static fn( string $f ) => max(
			array_map( static fn( $line ) => mb_strwidth( $line[ $f ] ), $lines )
		);
		$wide  = array_combine( $fields, array_map( $width, $fields ) );
		foreach ( $lines as $line ) {
			$cells = array_map(
				static fn( $f ) => $line[ $f ] . str_repeat( ' ', $wide[ $f ] - mb_strwidth( $line[ $f ] ) ),
				$fields
			);
			echo rtrim( implode( '  ', $cells ) ) . "\n";
		}
	}
}
