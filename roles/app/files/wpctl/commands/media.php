<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * wpctl media: files.
 */
final class Media_Commands {

	/**
	 * Gives the commands of this group.
	 *
	 * @return array<string, Command> By name.
	 */
	public static function all(): array {
		return array(
			'import' => new Command(
				'<file>... [--title=T] [--alt=A] [--post_id=N] [--featured_image]',
				array( self::class, 'import' ),
				array( 'title', 'caption', 'alt', 'post_id', 'featured_image' ),
				1,
				100
			),
		);
	}

	/**
	 * Copies files into the uploads and makes their attachments.
	 *
	 * @param Args $args Command line.
	 */
	public static function import( Args $args ): void {
		foreach ( array( 'file', 'image', 'media' ) as $part ) {
			require_once ABSPATH . "wp-admin/includes/$part.php";
		}
		$parent = (int) $args->get( 'post_id', '0' );
		if ( $parent ) {
			Input::post( $parent );
		}
		$bodies = array_map( array( Input::class, 'text' ), $args->words );
		foreach ( $args->words as $index => $path ) {
			$id = $args->on( 'dry-run' ) ? 0 : self::store( $args, $path, $bodies[ $index ], $parent );
			Out::created( $args, $id, "Imported $path as attachment $id." );
		}
	}

	/**
	 * Stores one file.
	 */
	private static function store( Args $args, string $path, string $body, int $parent ): int {
		$copy = wp_tempnam( basename( $path ) );
		file_put_contents( $copy, $body );
		$data = array( 'post_title' => $args->get( 'title' ), 'post_excerpt' => $args->get( 'caption' ) );
		$file = array( 'name' => basename( $path ), 'tmp_name' => $copy );
		$id   = media_handle_sideload( $file, $parent, null, wp_slash( array_filter( $data, 'is_string' ) ) );
		if ( is_wp_error( $id ) && file_exists( $copy ) ) {
			unlink( $copy );
		}
		Failure::check( $id );
		if ( null !== $args->get( 'alt' ) ) {
			update_post_meta( $id, '_wp_attachment_image_alt', wp_slash( $args->get( 'alt' ) ) );
		}
		if ( $args->on( 'featured_image' ) && $parent ) {
			set_post_thumbnail( $parent, $id );
		}
		return $id;
	}
}
