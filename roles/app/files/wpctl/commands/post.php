<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * wpctl post: posts, pages and other content.
 */
final class Post_Commands {

	/**
	 * Gives the commands of this group.
	 *
	 * @return array<string, Command> By name.
	 */
	public static function all(): array {
		$flags = self::FLAGS;
		return array(
			'create' => new Command(
				'[<file|->] --post_title=T [--post_status=publish] [--post_content=C]',
				array( self::class, 'create' ),
				$flags,
				0,
				1
			),
			'update' => new Command(
				'<id>... [--post_status=S] [--post_title=T]',
				array( self::class, 'update' ),
				$flags,
				1,
				500
			),
			'delete' => new Command( '<id>... [--force]', array( self::class, 'delete' ), array( 'force' ), 1, 500 ),
			'list'   => new Command(
				'[--post_type=post] [--post_status=any] [--posts_per_page=N]',
				array( self::class, 'list' ),
				array(
					'post_type',
					'post_status',
					'post_author',
					'posts_per_page',
					'orderby',
					'order',
					's',
					'name',
					'post__in',
				)
			),
			'get'    => new Command( '<id> [--field=post_content]', array( self::class, 'get' ), array(), 1, 1 ),
		);
	}

	/** Fields that create and update take. */
	private const FLAGS = array(
		'post_title',
		'post_content',
		'post_excerpt',
		'post_status',
		'post_type',
		'post_author',
		'post_date',
		'post_name',
		'post_parent',
		'post_password',
		'post_category',
		'tags_input',
		'comment_status',
		'page_template',
		'menu_order',
		'meta_input',
	);

	/**
	 * Picks and checks the given fields.
	 */
	private static function given( Args $args ): array {
		$data = array_intersect_key( $args->flags, array_flip( self::FLAGS ) );
		foreach ( array_keys( $data ) as $field ) {
			$args->get( $field );
		}
		if ( isset( $data['post_status'] ) ) {
			Input::one_of( 'status', $data['post_status'], array_keys( get_post_stati() ) );
		}
		if ( isset( $data['post_type'] ) ) {
			Input::one_of( 'post type', $data['post_type'], array_keys( get_post_types() ) );
		}
		if ( isset( $data['post_author'] ) ) {
			$data['post_author'] = Input::user( $data['post_author'] )->ID;
		}
		if ( isset( $data['post_category'] ) ) {
			$data['post_category'] = array_map(
				array( self::class, 'category' ),
				explode( ',', $data['post_category'] )
			);
		}
		if ( isset( $data['meta_input'] ) ) {
			$data['meta_input'] = json_decode( $data['meta_input'], true ) ?? throw new Usage(
				'--meta_input is not JSON.'
			);
		}
		return $data;
	}

	/**
	 * Finds a category by id, slug or name.
	 */
	private static function category( string $word ): int {
		$term = ctype_digit( $word ) ? get_term( (int) $word, 'category' ) : (
			get_term_by( 'slug', $word, 'category' ) ?: get_term_by( 'name', $word, 'category' )
		);
		return $term instanceof \WP_Term ? $term->term_id : throw new Failure( "No category \"$word\"." );
	}

	/**
	 * Creates a post.
	 *
	 * @param Args $args Command line.
	 */
	public static function create( Args $args ): void {
		$data = self::given( $args );
		if ( null !== $args->word( 0 ) ) {
			$data['post_content'] = Input::text( $args->word( 0 ) );
		}
		$id = $args->on( 'dry-run' ) ? 0 : Failure::check( wp_insert_post( wp_slash( $data ), true ) );
		Out::created( $args, $id, "Created post $id." );
	}

	/**
	 * Changes posts.
	 *
	 * @param Args $args Command line.
	 */
	public static function update( Args $args ): void {
		$data  = self::given( $args );
		$posts = array_map( array( Input::class, 'post' ), $args->ids() );
		foreach ( $posts as $post ) {
			if ( ! $args->on( 'dry-run' ) ) {
				Failure::check( wp_update_post( wp_slash( array( 'ID' => $post->ID ) + $data ), true ) );
			}
			Out::success( $args, "Updated post {$post->ID}." );
		}
	}

	/**
	 * Moves posts to the trash, or deletes them for ever with --force.
	 *
	 * @param Args $args Command line.
	 */
	public static function delete( Args $args ): void {
		$posts = array_map( array( Input::class, 'post' ), $args->ids() );
		foreach ( $posts as $post ) {
			$kept = ! $args->on( 'force' ) && 'trash' !== $post->post_status;
			if ( ! $args->on( 'dry-run' ) && ! (
				$kept ? wp_trash_post( $post->ID ) : wp_delete_post( $post->ID, true )
			) ) {
				throw new Failure( "Post {$post->ID} was not deleted." );
			}
			Out::success( $args, $kept ? "Trashed post {$post->ID}." : "Deleted post {$post->ID}." );
		}
	}

	/**
	 * Lists posts.
	 *
	 * @param Args $args Command line.
	 */
	public static function list( Args $args ): void {
		$query = array_intersect_key(
			$args->flags,
			array_flip( array( 'post_type', 'post_status', 'orderby', 'order', 's', 'name' ) )
		);
		foreach ( array( 'post_type', 'post_status' ) as $many ) {
			if ( isset( $query[ $many ] ) ) {
				$query[ $many ] = explode( ',', $args->get( $many ) );
			}
		}
		if ( null !== $args->get( 'post__in' ) ) {
			$query['post__in'] = array_map( 'intval', explode( ',', $args->get( 'post__in' ) ) );
		}
		if ( null !== $args->get( 'post_author' ) ) {
			$query['author'] = Input::user( $args->get( 'post_author' ) )->ID;
		}
		$query += array(
			'post_type' => 'post',
			'post_status' => 'any',
			'posts_per_page' => (int) $args->get( 'posts_per_page', '-1' ),
			'suppress_filters' => false,
		);
		Out::rows(
			$args,
			array_map( array( self::class, 'row' ), get_posts( $query ) ),
			array( 'ID', 'post_title', 'post_name', 'post_date', 'post_status' ),
			'ID'
		);
	}

	/**
	 * Turns a post into a row.
	 */
	private static function row( \WP_Post $post ): array {
		return $post->to_array() + array( 'url' => get_permalink( $post ) );
	}

	/**
	 * Shows one post.
	 *
	 * @param Args $args Command line.
	 */
	public static function get( Args $args ): void {
		$post = Input::post( $args->ids()[0] );
		Out::one( $args, array_diff_key( self::row( $post ), array( 'post_password' => 1, 'filter' => 1 ) ) );
	}
}
