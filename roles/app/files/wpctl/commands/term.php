<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * wpctl term: categories, tags and other terms.
 */
final class Term_Commands {

	/**
	 * Gives the commands of this group.
	 *
	 * @return array<string, Command> By name.
	 */
	public static function all(): array {
		return array(
			'list'   => new Command( '<taxonomy>...', array( self::class, 'list' ), array( 'search' ), 1, 20 ),
			'create' => new Command(
				'<taxonomy> <name> [--slug=S] [--parent=N]',
				array( self::class, 'create' ),
				array( 'slug', 'description', 'parent' ),
				2,
				2
			),
			'update' => new Command(
				'<taxonomy> <id> [--name=N] [--slug=S]',
				array( self::class, 'update' ),
				array( 'name', 'slug', 'description', 'parent' ),
				2,
				2
			),
			'delete' => new Command( '<taxonomy> <id>', array( self::class, 'delete' ), array(), 2, 2 ),
		);
	}

	/**
	 * Checks the taxonomy, the first word.
	 */
	private static function taxonomy( string $word ): string {
		return Input::one_of( 'taxonomy', $word, get_taxonomies() );
	}

	/**
	 * Lists terms.
	 *
	 * @param Args $args Command line.
	 */
	public static function list( Args $args ): void {
		$terms = get_terms(
			array(
				'taxonomy' => array_map( array( self::class, 'taxonomy' ), $args->words ),
				'hide_empty' => false,
				'search' => $args->get( 'search', '' ),
			)
		);
		$rows  = array_map( static fn( \WP_Term $term ) => $term->to_array(), Failure::check( $terms ) );
		Out::rows(
			$args,
			$rows,
			array( 'term_id', 'term_taxonomy_id', 'name', 'slug', 'description', 'parent', 'count' ),
			'term_id'
		);
	}

	/**
	 * Creates a term.
	 *
	 * @param Args $args Command line.
	 */
	public static function create( Args $args ): void {
		$more = array_intersect_key( $args->flags, array_flip( array( 'slug', 'description', 'parent' ) ) );
		$type = self::taxonomy( $args->word( 0 ) );
		$id   = $args->on( 'dry-run' ) ? 0 : Failure::check(
			wp_insert_term( wp_slash( $args->word( 1 ) ), $type, wp_slash( $more ) )
		)['term_id'];
		Out::created( $args, $id, "Created $type $id." );
	}

	/**
	 * Changes a term.
	 *
	 * @param Args $args Command line.
	 */
	public static function update( Args $args ): void {
		$more = array_intersect_key( $args->flags, array_flip( array( 'name', 'slug', 'description', 'parent' ) ) );
		if ( ! $args->on( 'dry-run' ) ) {
			Failure::check(
				wp_update_term( (int) $args->word( 1 ), self::taxonomy( $args->word( 0 ) ), wp_slash( $more ) )
			);
		}
		Out::success( $args, "Term {$args->word( 1 )} updated." );
	}

	/**
	 * Deletes a term.
	 *
	 * @param Args $args Command line.
	 * @throws Failure When there is none or it is the default category.
	 */
	public static function delete( Args $args ): void {
		$type = self::taxonomy( $args->word( 0 ) );
		if ( ! $args->on( 'dry-run' ) && true !== Failure::check(
			wp_delete_term( (int) $args->word( 1 ), $type )
		) ) {
			throw new Failure( "No $type {$args->word( 1 )} that can be deleted." );
		}
		Out::success( $args, "Deleted $type {$args->word( 1 )}." );
	}
}
